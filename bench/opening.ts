/** Opening a repository that holds documents, and what these take on disk. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKey } from '../src/core/keys.ts'
import { randomBytes } from '../src/core/crypto.ts'
import { openEmbedded } from './embedded-target.ts'
import type { Figure } from './measure.ts'
import { batches } from './works.ts'

/** Fills a repository in one database, then opens it in a new process. */
export async function measureOpening(directory: string, documents: number): Promise<Figure[]> {
  const location = join(directory, `documents-${documents}`)
  {
    await using host = await openEmbedded(location, generateKey(randomBytes))
    await batches(await host.newDatabase(), documents)
  }
  const opened = await openInNewProcess(location)
  const name = `${documents.toLocaleString('en')} documents`
  return [
    { work: `embedded: open ${name} and answer an indexed find`, value: opened, unit: 'ms' },
    { work: `embedded: disk for each of ${name}`, value: (await bytesOf(location)) / documents, unit: 'bytes' },
  ]
}

/** Time after the modules are loaded, in ms. */
async function openInNewProcess(location: string): Promise<number> {
  const child = fork(join(import.meta.dirname, 'opening-process.ts'), [location], { execArgv: process.execArgv })
  const [ms] = (await once(child, 'message')) as [number]
  await once(child, 'exit')
  return ms
}

async function bytesOf(directory: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(directory)) bytes += (await stat(join(directory, name))).size
  return bytes
}
