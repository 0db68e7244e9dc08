import { textOfUtf8 } from '../src/core/bytes.ts'
import { decodeEvents } from '../src/core/events.ts'
import { type LogId, parsePeerId, peerIdToBytes } from '../src/core/peer-id.ts'
import type { Database } from '../src/db/index.ts'
import type { ThreadRecord } from '../src/net/app.ts'
import { RecordReader } from '../src/net/record-reader.ts'
import type { LogState } from '../src/net/rows.ts'
import { Threads } from '../src/net/threads.ts'
import { oracle, type PlainEvent, plainName, type PlainRecord, type PlainState } from '../test/support/fold-oracle.ts'
import type { SimHost } from './host.ts'
import { GUARD, guard } from './judge.ts'
import type { PlannedThread } from './plan.ts'
import { checkSnapshot } from './snapshot.ts'
import type { Work, Write } from './work.ts'
import { fail, type World } from './world.ts'

/** What a host has on disk of a thread. */
interface Held {
  readonly logs: readonly LogState[]
  readonly records: ReadonlyMap<LogId, readonly ThreadRecord[]>
}

/** Enough for every record of a log. */
const ALL = { counter: 0, maxRecords: 1_000_000, maxBytes: Number.POSITIVE_INFINITY }

async function readHeld(host: SimHost, thread: PlannedThread): Promise<Held | undefined> {
  const store = await host.disk.open({ name: host.name, alive: false })
  const threads = new Threads(store)
  await threads.load()
  const state = threads.find(thread.id)?.stored
  if (state === undefined) return undefined
  const reader = new RecordReader(store)
  const records = new Map<LogId, readonly ThreadRecord[]>()
  for (const log of state.logs.values()) {
    // With the read key, also from the disk of a relay.
    records.set(log.id, await reader.after({ ...state, key: thread.key }, log, ALL))
  }
  return { logs: [...state.logs.values()], records }
}

/** Why the hosts do not hold the same yet, or have not folded it; `undefined` if they do and have. */
export async function differenceOf(world: World): Promise<string | undefined> {
  for (const thread of world.plan.threads) {
    let first: string | undefined
    for (const host of world.hosts) {
      const held = await readHeld(host, thread)
      if (held === undefined) return `${host.name} does not have the thread`
      checkLogs(world, host, held)
      const heads = held.logs.flatMap(({ id, head }) => (head.cid === undefined ? [] : `${id} ${head.cid.toString()}`))
      const text = heads.toSorted().join('\n')
      first ??= text
      if (text !== first) return `${host.name} has other heads of ${thread.id}${await headsOf(world, thread)}`
      const waiting = held.logs.find(({ cursor, head }) => cursor.counter < head.counter)
      if (waiting !== undefined && !host.planned.isRelay) return `${host.name} has not folded log ${waiting.id}`
    }
  }
  return undefined
}

/** The heads of all hosts, for people. A star marks the logs a host writes. */
async function headsOf(world: World, thread: PlannedThread): Promise<string> {
  let text = ''
  for (const host of world.hosts) {
    const logs = (await readHeld(host, thread))?.logs ?? []
    const lines = logs.map(({ id, head, managed, addresses }) => {
      const owners = addresses.map((address) => world.hosts.find(({ id: peer }) => address.endsWith(peer))?.name ?? '?')
      return `${id.slice(-4)}${managed ? '*' : ''} ${head.counter} at ${owners.join('')}`
    })
    text += `\n${host.name}: ${lines.join(', ')}`
  }
  return text
}

/** Compares everything with what it must be, once the hosts hold the same. */
export async function checkAll(world: World, work: Work): Promise<void> {
  for (const thread of world.plan.threads) {
    const [first] = world.hosts
    const held = first && (await readHeld(first, thread))
    if (held === undefined) return
    checkWrites(
      world,
      work.writes.filter((write) => write.thread === thread.id),
      held,
    )
    const state = foldPlainly(thread, held)
    for (const host of world.hosts) {
      const database = host.running?.open.get(thread.id)
      if (database !== undefined) await checkDatabase(world, { host, thread, database, state })
    }
  }
  for (const { watch } of world.hosts) watch.check()
}

/** Each log has all records up to its head. */
function checkLogs(world: World, host: SimHost, { logs, records }: Held): void {
  for (const { id, head } of logs) {
    const held = records.get(id) ?? []
    if (held.length === head.counter && held.at(-1)?.cid.toString() === head.cid?.toString()) continue
    fail(world, `${host.name} holds ${held.length} records of log ${id}, and its head at ${head.counter}`)
  }
}

function checkWrites(world: World, writes: readonly Write[], { records }: Held): void {
  const marks = new Map<number, Map<string, number>>()
  for (const record of [...records.values()].flat()) {
    const name = `${record.logId}/${record.counter}`
    for (const { patch } of decodeEvents(record.body ?? new Uint8Array())) {
      const mark: unknown = patch === undefined ? undefined : JSON.parse(textOfUtf8(patch)).w
      if (typeof mark !== 'number') continue
      const found = marks.get(mark) ?? new Map<string, number>()
      marks.set(mark, found.set(name, (found.get(name) ?? 0) + 1))
    }
  }
  for (const write of writes) {
    const { mark, host, outcome, documents, heads } = write
    const found = [...(marks.get(mark) ?? [])]
    const what = `write ${mark} of ${documents} at ${host.name}, ${outcome},`
    const isThere = found.length === 1 && found[0]?.[1] === documents
    if (outcome === 'acknowledged' && documents > 0 && !isThere) fail(world, `${what} is in ${JSON.stringify(found)}`)
    if (outcome === 'refused' && found.length > 0) fail(world, `${what} is in ${JSON.stringify(found)}`)
    if (outcome === 'unknown' && found.length > 0 && !isThere) fail(world, `${what} is in ${JSON.stringify(found)}`)
    for (const { log, counter, cid } of heads) {
      const now = records.get(log)?.[counter - 1]?.cid.toString()
      if (now !== cid) fail(world, `${what} left log ${log} at record ${counter}, which is gone`)
    }
  }
}

function foldPlainly(thread: PlannedThread, { records }: Held): PlainState {
  const plain = [...records.values()].flat().map((record): PlainRecord => {
    const { logId, counter, eventCid, author, body } = record
    return {
      log: peerIdToBytes(logId),
      counter,
      digest: eventCid.multihash.digest,
      writer: author ?? '',
      body: body === undefined ? 'unreadable' : decodeEvents(body).map(plainEvent),
    }
  })
  const judged = thread.collections.filter(({ isJudged }) => isJudged)
  const validators = new Map(judged.map(({ name }) => [name, [{ since: 0n, validator: GUARD }]]))
  return oracle(plain, validators, guard)
}

function plainEvent({ type, patch, ...event }: ReturnType<typeof decodeEvents>[number]): PlainEvent {
  if (type === 'unknown') throw new Error('an event of unknown type was written')
  return { ...event, type, ...(patch === undefined ? {} : { patch: textOfUtf8(patch) }) }
}

async function checkDatabase(
  world: World,
  at: { host: SimHost; thread: PlannedThread; database: Database; state: PlainState },
): Promise<void> {
  const { host, thread, database, state } = at
  for (const { name } of thread.collections) {
    const shown = (await database.collection(name).find({})).map((bytes) => textOfUtf8(bytes))
    const expected = [...state.documents]
      .filter(([key]) => key.startsWith(`${name}/`))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { text }]) => text)
    const wrong = expected.findIndex((text, index) => text !== shown[index])
    if (wrong >= 0 || shown.length !== expected.length) {
      const place = Math.max(0, wrong)
      fail(
        world,
        `${host.name} shows ${shown.length} documents of ${name}, ${shown[place]}; expected ${expected[place]}`,
      )
    }
    const fault = await checkSnapshot(database, thread, name)
    if (fault !== undefined) fail(world, `in the end ${host.name} shows ${fault}`)
  }
  const refused = (await database.refusals()).map(({ logId, counter, documents }) => {
    const log = peerIdToBytes(parsePeerId(logId))
    return `${plainName({ log, counter })} ${documents.map(({ collection, id }) => `${collection}/${id}`).join(' ')}`
  })
  const expected = [...state.refusals].map(([name, { keys }]) => `${name} ${keys.join(' ')}`)
  if (refused.toSorted().join('\n') !== expected.toSorted().join('\n')) {
    fail(world, `${host.name} lists ${refused.length} refusals, expected ${expected.length}`)
  }
}
