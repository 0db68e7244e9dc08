/** Measures one peer in a process of its own, and sends its figures. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Load } from './peer.ts'
import { PEERS } from './peers.ts'
import { peerFigures } from './rows.ts'

const [, , name, loader = '', documents] = process.argv
const peer = PEERS.find((each) => each.name === name)
if (peer === undefined) throw new Error(`there is no peer ${name}`)
const load: Load =
  loader === ''
    ? () => Promise.reject(new Error('nothing is installed'))
    : (await import(pathToFileURL(loader).href)).load
const directory = await mkdtemp(join(tmpdir(), 'threads-bench-peer-'))
try {
  for await (const figure of peerFigures(peer, { load, directory, documents: Number(documents) }))
    process.send?.(figure)
} finally {
  await rm(directory, { recursive: true, force: true })
}
// Some peers leave timers behind.
process.disconnect?.()
process.exit()
