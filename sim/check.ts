import { textOfUtf8, toHex } from '../src/core/bytes.ts'
import { decodeEvents } from '../src/core/events.ts'
import { peerIdToBytes } from '../src/core/peer-id.ts'
import { baseOf } from '../src/net/chains.ts'
import { oracle, type PlainEvent, type PlainRecord, type PlainState } from '../test/support/fold-oracle.ts'
import { checkDerived } from './check-derived.ts'
import { checkLost } from './check-told.ts'
import { type Held, leftOvers, readHeld, recordName } from './held.ts'
import type { SimHost } from './host.ts'
import { plainJudge } from './judge.ts'
import type { PlannedThread } from './plan.ts'
import { checkSnapshot } from './snapshot.ts'
import type { Work, Write } from './work.ts'
import { fail, type World } from './world.ts'

/** Why the hosts do not hold the same yet, or have not folded it; `undefined` if they do and have. */
export async function differenceOf(world: World): Promise<string | undefined> {
  for (const thread of world.plan.threads) {
    let first: string | undefined
    for (const host of world.hosts) {
      const held = await readHeld(host, thread)
      if (held === undefined) return `${host.name} does not have thread ${thread.number}`
      checkLogs(world, host, held)
      const heads = held.logs.flatMap(({ id, head }) => (head.cid === undefined ? [] : `${id} ${head.cid.toString()}`))
      const text = heads.toSorted().join('\n')
      first ??= text
      if (text !== first)
        return `${host.name} has other heads of thread ${thread.number}${await headsOf(world, thread)}`
      const waiting = held.logs.find(({ cursor, head }) => cursor.counter < head.counter)
      if (waiting !== undefined && !host.isRelay) return `${host.name} has not folded log ${waiting.chain}`
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
    const writes = work.writes.filter((write) => write.thread === thread.id)
    checkWrites(world, writes, held)
    await checkThread(world, thread, held)
  }
  await checkLost(world)
  for (const host of world.hosts) {
    const left = await leftOvers(host)
    if (left !== undefined) fail(world, `${host.name} has ${left}`)
    host.watch.check()
  }
}

/** Each log has all records up to its head. */
function checkLogs(world: World, host: SimHost, { logs, records }: Held): void {
  for (const log of logs) {
    const { chain, head } = log
    const held = records.get(chain) ?? []
    const isWhole = baseOf(log) + held.length === head.counter
    if (isWhole && held.at(-1)?.cid.toString() === head.cid?.toString()) continue
    fail(world, `${host.name} holds ${held.length} records of log ${chain}, and its head at ${head.counter}`)
  }
}

/** Every acknowledged write is there, once and whole; of the others at most all or nothing. */
function checkWrites(world: World, writes: readonly Write[], { records }: Held): void {
  const marks = new Map<number, Map<string, number>>()
  const cids = new Set<string>()
  for (const record of [...records.values()].flat()) {
    const name = record.cid.toString()
    cids.add(name)
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
      if (!cids.has(cid)) fail(world, `${what} left log ${log} at record ${counter}, which is gone`)
    }
  }
}

/** Compares what the hosts show and store with the oracle. */
async function checkThread(world: World, thread: PlannedThread, { records }: Held): Promise<void> {
  const plain = plainRecords(records)
  /** Hosts with the same validators must show the same. */
  const states = new Map<string, PlainState>()
  for (const host of world.hosts) {
    if (host.isRelay) continue
    const held = await readHeld(host, thread)
    if (held?.definition === undefined) return fail(world, `${host.name} has no database of thread ${thread.number}`)
    const { validators } = held.definition
    const skipped = new Set(held.definition.decisions?.skipped.map((each) => toHex(each.record)))
    const key = validators
      .map(
        ({ collection, list }) => `${collection} ${list.map(({ since, validator }) => `${since} ${validator}`).join()}`,
      )
      .concat([...skipped])
      .toSorted()
      .join('\n')
    const lists = new Map(validators.map(({ collection, list }) => [collection, list]))
    const judged = plain.map((record) => (skipped.has(toHex(record.digest)) ? { ...record, skipped: true } : record))
    const state = states.get(key) ?? oracle(judged, lists, plainJudge)
    states.set(key, state)
    checkRules(world, host, { thread, held })
    checkSkipped(world, host, { thread, skipped })
    const fault = await checkDerived(held, { number: held.number, definition: held.definition, state })
    if (fault !== undefined) fail(world, `${host.name} stores ${fault}`)
    await checkShown(world, host, { thread, state })
  }
}

function plainRecords(records: Held['records']): PlainRecord[] {
  return [...records.values()].flat().map((record): PlainRecord => {
    const { logId, counter, cid, prev, author, body } = record
    const log = peerIdToBytes(logId)
    const { digest } = cid.multihash
    return {
      log,
      counter,
      digest,
      name: recordName(log, counter, digest),
      ...(prev && { previous: recordName(log, counter - 1, prev.multihash.digest) }),
      writer: author ?? '',
      body: body === undefined ? 'unreadable' : decodeEvents(body).map(plainEvent),
    }
  })
}

function plainEvent({ type, patch, ...event }: ReturnType<typeof decodeEvents>[number]): PlainEvent {
  if (type === 'unknown') throw new Error('an event of unknown type was written')
  return { ...event, type, ...(patch === undefined ? {} : { patch: textOfUtf8(patch) }) }
}

/** The validators in force are those that the operator heard were put in force. */
function checkRules(world: World, host: SimHost, { thread, held }: { thread: PlannedThread; held: Held }): void {
  for (const { name } of thread.collections) {
    const expected = host.entrance.ruleOf(thread.id, name)
    const list = held.definition?.validators.find(({ collection }) => collection === name)?.list ?? []
    const inForce = list.at(-1)?.validator ?? ''
    if (expected === undefined || expected === inForce) continue
    fail(world, `${host.name} judges ${name} by ${inForce || 'nothing'}, not by ${expected || 'nothing'}`)
  }
}

/** What the operator skipped stays skipped. */
function checkSkipped(
  world: World,
  host: SimHost,
  { thread, skipped }: { thread: PlannedThread; skipped: ReadonlySet<string> },
): void {
  for (const record of host.entrance.skippedOf(thread.id)) {
    if (!skipped.has(record))
      fail(world, `${host.name} forgot that record ${record} of thread ${thread.number} is skipped`)
  }
}

/** What the API answers. */
async function checkShown(
  world: World,
  host: SimHost,
  { thread, state }: { thread: PlannedThread; state: PlainState },
): Promise<void> {
  const database = host.running?.open.get(thread.id)
  if (database === undefined) return fail(world, `${host.name} does not serve thread ${thread.number}`)
  for (const { name } of thread.collections) {
    const shown = (await database.collection(name).find({})).map((bytes) => textOfUtf8(bytes))
    const expected = [...state.documents]
      .filter(([key]) => key.startsWith(`${name}/`))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { text }]) => text)
    const wrong = expected.findIndex((text, index) => text !== shown[index])
    if (wrong >= 0 || shown.length !== expected.length) {
      const place = Math.max(0, wrong)
      const what = `${host.name} shows ${shown.length} documents of ${name}`
      fail(world, `${what}, ${shown[place]}; expected ${expected.length}, ${expected[place]}`)
    }
    const fault = await checkSnapshot(database, name)
    if (fault !== undefined) fail(world, `in the end ${host.name} shows ${fault}`)
  }
  const refused = await database.refusals()
  if (refused.length !== state.refusals.size) {
    fail(world, `${host.name} lists ${refused.length} refusals, expected ${state.refusals.size}`)
  }
}
