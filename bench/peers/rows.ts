import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AGES, idOf, person } from '../document.ts'
import type { Figure } from '../measure.ts'
import type { Load, Peer, PeerDatabase, PeerHost, Person } from './peer.ts'

const CREATES_MS = 5_000
const READS_MS = 2_000
const BATCH = 500
const LOOK_MS = 20
const GIVE_UP_MS = 300_000

export interface PeerRun {
  readonly load: Load
  readonly directory: string
  /** Of the collection that is read, and replicated. */
  readonly documents: number
}

/** All figures of one peer. Rows that it has no means for are left out. */
export async function* peerFigures(peer: Peer, { load, directory, documents }: PeerRun): AsyncGenerator<Figure> {
  const figure = (work: string, value: number): Figure => ({ work: `${peer.name}: ${work}`, value, unit: '/s' })
  const host = await openIn(join(directory, 'first'), peer, load)
  const single = await host.create()
  yield figure('create 1 by 1', await perSecond(CREATES_MS, (index) => single.put(documentOf(index))))
  const database = await host.create()
  yield figure(...(await filled(database, documents)))
  yield figure('get by id', await perSecond(READS_MS, (index) => database.get(idOf((index * 7919) % documents))))
  if (database.find !== undefined) {
    const find = async (index: number): Promise<void> => {
      const found = await database.find?.(index % AGES)
      if (found !== documents / AGES) throw new Error(`found ${found} documents, not ${documents / AGES}`)
    }
    // The first makes the index, in some.
    await find(0)
    yield figure(`find ${documents / AGES} of ${documents} by an index`, await perSecond(READS_MS, find))
  }
  const others = await openIn(join(directory, 'second'), peer, load)
  yield figure(`replicate ${documents} documents`, await replicated({ from: host, to: others, database, documents }))
  await Promise.all([host.close(), others.close()])
}

async function openIn(directory: string, peer: Peer, load: Load): Promise<PeerHost> {
  await mkdir(directory)
  return peer.open(load, directory)
}

async function filled(database: PeerDatabase, documents: number): Promise<[string, number]> {
  const started = performance.now()
  if (database.putMany === undefined) {
    for (let index = 0; index < documents; index++) await database.put(documentOf(index))
  } else {
    for (let at = 0; at < documents; at += BATCH)
      await database.putMany(
        Array.from({ length: Math.min(BATCH, documents - at) }, (_, index) => documentOf(at + index)),
      )
  }
  const value = (1000 * documents) / (performance.now() - started)
  const how = database.putMany === undefined ? '1 by 1, there are no batches' : `${BATCH} in a call`
  return [`create ${documents} documents, ${how}`, value]
}

interface Replication {
  readonly from: PeerHost
  readonly to: PeerHost
  readonly database: PeerDatabase
  readonly documents: number
}

/** Both hosts are in this process. */
async function replicated({ from, to, database, documents }: Replication): Promise<number> {
  const started = performance.now()
  const copy = await to.copy(database, from)
  while (!(await isComplete(copy, documents))) {
    if (performance.now() - started > GIVE_UP_MS)
      throw new Error(`after ${GIVE_UP_MS / 1000} s only ${await copy.count()} of ${documents} documents were there`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  return (1000 * documents) / (performance.now() - started)
}

/** Counting may be slow: it begins when the last document is there. */
async function isComplete(copy: PeerDatabase, documents: number): Promise<boolean> {
  const last = await copy.get(idOf(documents - 1)).catch(() => undefined)
  return last !== undefined && (await copy.count()) === documents
}

async function perSecond(ms: number, task: (index: number) => Promise<unknown>): Promise<number> {
  const started = performance.now()
  let count = 0
  while (performance.now() - started < ms) await task(count++)
  return (1000 * count) / (performance.now() - started)
}

function documentOf(index: number): Person {
  return JSON.parse(Buffer.from(person(index)).toString()) as Person
}
