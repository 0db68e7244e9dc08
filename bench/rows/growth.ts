/** What changes, and what should not, when a database grows. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { randomBytes } from '../../src/core/crypto.ts'
import { generateKey } from '../../src/core/keys.ts'
import { idOf, person } from '../document.ts'
import { openEmbedded } from '../embedded-target.ts'
import { type Figure, median, measureRow, repeated, type Rounds, type Work } from '../measure.ts'
import { bytesOf, cpuOf } from '../processes.ts'
import type { TargetDatabase } from '../target.ts'
import { ofAge } from './reads.ts'
import { fill } from './writes.ts'

const FOUND = 10
const OPENINGS = 3

/** One database after the other with so many documents, from few to many. */
export async function* growthFigures(
  directory: string,
  sizes: readonly number[],
  rounds: Rounds,
): AsyncGenerator<Figure> {
  for (const documents of sizes) yield* figuresAt(join(directory, `with-${documents}`), documents, rounds)
}

async function* figuresAt(location: string, documents: number, rounds: Rounds): AsyncGenerator<Figure> {
  const text = `with ${documents.toLocaleString('en')} documents`
  {
    await using host = await openEmbedded(location, generateKey(randomBytes))
    const database = await host.newDatabase()
    await fill(database, documents)
    yield { work: `${text}: disk for each`, value: (await bytesOf(location)) / documents, unit: 'bytes' }
    for (const work of works(database, documents)) yield measureRow({ ...work, name: `${text}: ${work.name}` }, rounds)
  }
  const opened: number[] = []
  for (let time = 0; time < OPENINGS; time++) opened.push(await openInNewProcess(location))
  yield { work: `${text}: open in a new process and find ${FOUND} by the index`, value: median(opened), unit: 'ms' }
}

/** Each touches the same number of documents, however many there are. */
function works(database: TargetDatabase, documents: number): Work[] {
  const cpu = cpuOf()
  return [
    repeated('get by id', { cpu }, (index) => database.get(idOf((index * 7919) % documents))),
    repeated(`find ${FOUND} by the index`, { cpu }, (index) =>
      database.find(Buffer.from(JSON.stringify({ ...ofAge(index), limit: FOUND }))),
    ),
    repeated('save 1 by 1, 1 in flight', { cpu }, (index) =>
      database.save([person((index * 7919) % documents, String(index))]),
    ),
  ]
}

/** Time after the modules are loaded, in ms. */
async function openInNewProcess(location: string): Promise<number> {
  const child = fork(join(import.meta.dirname, 'opening-process.ts'), [location, String(FOUND)], {
    execArgv: process.execArgv,
  })
  const [ms] = (await once(child, 'message')) as [number]
  await once(child, 'exit')
  return ms
}
