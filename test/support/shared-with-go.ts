/** Databases of hosts of ours that hosts of go-threads have joined, and what must hold of them. */
import { expect } from 'vitest'
import { type Address, parseAddress } from '../../src/core/address.ts'
import type { Collection, Database } from '../../src/db/index.ts'
import type { ForeignEvent } from './foreign-log.ts'
import type { GoScript } from './go-service.ts'
import type { GoLog, GoThread } from './go-thread.ts'
import { startHost, type TestHost, type TestHostOptions } from './host.ts'
import { bytesOf, newNotes, noteOf } from './notes.ts'
import { oracleDocuments } from './oracle-documents.ts'
import { ScriptedGoPeer } from './scripted-go-peer.ts'

/** A host tries again after some time what a peer could not do. */
export const PATIENCE: { readonly timeout: number } = { timeout: 60_000 }

export const resources: AsyncDisposable[] = []

export async function open(options: TestHostOptions = {}): Promise<TestHost> {
  const host = await startHost(options)
  resources.push(host)
  return host
}

export async function openGo(script: Partial<GoScript> = {}): Promise<ScriptedGoPeer> {
  const peer = await ScriptedGoPeer.start(script)
  resources.push(peer)
  return peer
}

/** Ends all that was opened, the newest first. */
export async function closeAll(): Promise<void> {
  for (const resource of resources.splice(0).toReversed()) await resource[Symbol.asyncDispose]()
}

export function create(id: string, name: string = id, atMs?: number): ForeignEvent {
  return { type: 'create', id, patch: JSON.stringify({ _id: id, name }), ...(atMs === undefined ? {} : { atMs }) }
}

export function remove(id: string, atMs: number): ForeignEvent {
  return { type: 'delete', id, atMs }
}

export function save(id: string, name: string, atMs?: number): ForeignEvent {
  return { type: 'save', id, patch: JSON.stringify({ name }), ...(atMs === undefined ? {} : { atMs }) }
}

export async function addressOf(database: Database): Promise<Address> {
  const [address] = (await database.info()).addresses
  if (address === undefined) throw new Error('the host has no address')
  return address
}

export function hostAddress({ net }: TestHost): Address {
  return parseAddress(`${net.hostAddresses()[0]}/p2p/${net.hostId}`)
}

/** A database of a host of ours, which a Go host has joined. */
export interface Shared {
  readonly host: TestHost
  readonly peer: ScriptedGoPeer
  readonly database: Database
  readonly notes: Collection
  readonly thread: GoThread
  /** Records the host tells of, local and received. */
  readonly told: string[]
}

export interface ShareOptions extends TestHostOptions {
  /** Of documents that are there before the Go host joins, a record each. */
  ids?: readonly string[]
}

export async function share(script: Partial<GoScript> = {}, options: ShareOptions = {}): Promise<Shared> {
  const { ids = ['ours'], ...hostOptions } = options
  const [host, peer] = [await open(hostOptions), await openGo(script)]
  const { database, notes } = await newNotes(host)
  const told = watch(host, database)
  for (const id of ids) await notes.create([bytesOf({ _id: id })])
  const thread = await peer.join(await addressOf(database), (await database.info()).key)
  await peer.pull(host.net.hostId, database.id)
  return { host, peer, database, notes, thread, told }
}

/** Names of the records that a host stores from now on. */
function watch({ net }: TestHost, { id }: Database): string[] {
  const told: string[] = []
  const stop = new AbortController()
  resources.push({ [Symbol.asyncDispose]: async () => stop.abort() })
  const feed = net.subscribe({ threads: [id], signal: stop.signal })
  const run = async (): Promise<void> => {
    for await (const record of feed) told.push(record.cid.toString())
  }
  run().catch(() => {})
  return told
}

export function headsOf(thread: GoThread): Record<string, number> {
  return Object.fromEntries([...thread.logs.values()].map(({ id, records }) => [id, records.length]))
}

export async function headsAt({ net }: TestHost, { id }: Database): Promise<Record<string, number>> {
  const { logs } = await net.getThread(id)
  return Object.fromEntries(logs.map((log) => [log.id, log.head.counter]))
}

/** Both sides end with the same logs; documents are those of the oracle; nothing was taken twice, and Go could read all. */
export async function expectInStep(shared: Shared): Promise<void> {
  const { host, peer, database, thread, told } = shared
  await expect
    .poll(async () => {
      await peer.settled()
      return [sorted(await headsAt(host, database)), sorted(headsOf(thread))]
    }, PATIENCE)
    .toSatisfy(([here, there]) => JSON.stringify(here) === JSON.stringify(there))
  await expectDocuments(host, database)
  expect(told).toHaveLength(new Set(told).size)
  expect(thread.applied).toHaveLength(new Set(thread.applied.map(({ cid }) => cid.toString())).size)
  expect(peer.panics).toEqual([])
}

/** Without logs that are empty. */
export function sorted(heads: Record<string, number>): [string, number][] {
  return Object.entries(heads)
    .filter(([, counter]) => counter > 0)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
}

export async function expectDocuments({ net }: TestHost, database: Database): Promise<void> {
  const expected = await oracleDocuments(net, database.id)
  const documents = await database.collection('Note').find({})
  const held = documents.map((bytes): [string, unknown] => [`Note/${String(noteOf(bytes)._id)}`, noteOf(bytes)])
  expect(new Map(held)).toEqual(expected)
}

/** The only log that another host writes. */
export function otherLogIn({ logs }: GoThread): GoLog {
  const [log, another] = [...logs.values()].filter(({ writer }) => writer === undefined)
  if (log === undefined || another !== undefined) throw new Error('there is not one log of another host')
  return log
}

/** What a listener of a database is told from now on. */
export function listen(database: Database): string[] {
  const heard: string[] = []
  const stop = new AbortController()
  resources.push({ [Symbol.asyncDispose]: async () => stop.abort() })
  const run = async (): Promise<void> => {
    for await (const { kind, id } of database.listen([], { signal: stop.signal })) heard.push(`${kind} ${id}`)
  }
  run().catch(() => {})
  return heard
}
