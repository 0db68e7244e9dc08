/**
 * Backups of a host that serves meanwhile. All of one is read from one snapshot: what was acknowledged before is in it.
 * It holds no private key of a log, and marks the logs written here as retired. So nobody who restores it can go on with
 * them, and no log is continued in two ways.
 */
import { attestHead } from '../core/attestation.ts'
import { EMPTY_BYTES, equalBytes } from '../core/bytes.ts'
import { cidOf } from '../core/cbor.ts'
import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import { type PeerId, peerIdFromBytes } from '../core/peer-id.ts'
import type { RecordBlocks } from '../core/record.ts'
import { type ThreadId, threadIdToBytes } from '../core/thread-id.ts'
import type { HostStore } from '../store/host-store.ts'
import { KeyReader, rowRange } from '../store/key-codec.ts'
import type { ReadView } from '../store/ordered-store.ts'
import { recordBytes } from './append.ts'
import { BACKUP_FORMAT, type BackupChain, type BackupFrame, chainName, MAX_RECORDS_BYTES } from './backup-frame.ts'
import { baseOf } from './chains.ts'
import type { BackupOptions } from './index.ts'
import { decodeLogRow, decodeRecordRow, decodeThreadRow, encodeLogRow, encodeThreadRow, type LogState } from './rows.ts'
import { readRecordKey, recordRowKey, type ThreadRow, threadOf } from './rows.ts'

/** Backups of a host at once: each keeps a snapshot. */
const MAX_BACKUPS = 2
/** A backup of which nothing is taken for so long ends: its snapshot keeps old rows on the disk. */
const STALL_MS = 5 * 60_000

export interface BackupComponents {
  readonly store: HostStore
  readonly clock: Clock
}

/** Takes backups of a host, a few at a time. */
export class Backups {
  readonly #components: BackupComponents
  #running = 0

  constructor(components: BackupComponents) {
    this.#components = components
  }

  /** See `Net.backup`. */
  async *take(options: BackupOptions): AsyncGenerator<BackupFrame> {
    if (this.#running === MAX_BACKUPS) {
      const hint = 'Try again when one has ended.'
      throw new ThreadsError('STORE_BUSY', `${MAX_BACKUPS} backups are being taken already`, { hint })
    }
    yield* unlessStalled(this.#frames(options), this.#components.clock)
  }

  async *#frames(options: BackupOptions): AsyncGenerator<BackupFrame> {
    this.#running++
    try {
      yield* framesOf(this.#components, options)
    } finally {
      this.#running--
    }
  }
}

/** Ends frames that nobody takes. */
async function* unlessStalled(frames: AsyncGenerator<BackupFrame>, clock: Clock): AsyncGenerator<BackupFrame> {
  let stalled = false
  let cancel = noTimer
  try {
    for (let next = await frames.next(); next.done !== true; next = await frames.next()) {
      cancel = clock.after(STALL_MS, () => {
        stalled = true
        // It waits in a `yield`, so it can be ended from here.
        frames.return(undefined).catch(() => {})
      })
      yield next.value
      cancel()
      if (stalled) throw new ThreadsError('CLOSED', `nothing of the backup was taken for ${STALL_MS / 1000} s`)
    }
  } finally {
    cancel()
    await frames.return(undefined)
  }
}

function noTimer(): void {}

/** A chain whose records are sent. */
interface Sending {
  readonly thread: ThreadRow
  readonly log: LogState
  readonly after: number
}

async function* framesOf({ store, clock }: BackupComponents, options: BackupOptions): AsyncGenerator<BackupFrame> {
  const { thread, signal } = options
  const view = store.reads.snapshot()
  try {
    const seq = await newestCommit(view)
    await awaitSynced(store, seq, signal)
    const scope = thread === undefined ? EMPTY_BYTES : threadIdToBytes(thread)
    const takenAtMs = BigInt(Math.trunc(clock.nowMs()))
    const begin = { format: BACKUP_FORMAT, storeID: store.id, seq: BigInt(seq), takenAtMs, threadID: scope }
    yield { $case: 'begin', value: begin }

    const known = new Map(options.known?.map((chain) => [chainName(chain), chain]))
    const chains: Sending[] = []
    const peers = new Set<PeerId>()
    let threads = 0
    for await (const { row, logs } of threadsIn(view, thread)) {
      threads++
      yield threadFrame(row)
      for (const log of logs) {
        const after = await heldUntil(view, { row, log }, known)
        chains.push({ thread: row, log, after })
        yield logFrame(row, log, after)
      }
      for (const peer of peersOf(row, logs)) peers.add(peer)
    }
    if (thread !== undefined && threads === 0) throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
    for await (const [key, row] of view.entries(rowRange('p'))) {
      const peerID = new KeyReader(key).bytes()
      if (thread !== undefined && !peers.has(peerIdFromBytes(peerID))) continue
      yield { $case: 'peer', value: { peerID, row } }
    }

    const sent = { records: 0n, bytes: 0n }
    for (const chain of chains) {
      signal?.throwIfAborted()
      for await (const { first, records } of runsOf(view, chain)) {
        sent.records += BigInt(records.length)
        for (const blocks of records) sent.bytes += BigInt(recordBytes(blocks))
        const place = { threadID: threadIdToBytes(chain.thread.id), number: BigInt(chain.log.number) }
        yield { $case: 'records', value: { ...place, first: BigInt(first), records } }
      }
    }
    yield { $case: 'end', value: { threads: BigInt(threads), logs: BigInt(chains.length), ...sent } }
  } finally {
    await view.close()
  }
}

async function newestCommit(view: ReadView): Promise<number> {
  const newest = { ...rowRange('f'), reverse: true, limit: 1 }
  for await (const [key] of view.entries(newest)) return new KeyReader(key).number()
  return 0
}

/**
 * With relaxed durability a snapshot may show what a power loss still takes away. This host would write another record
 * in its place, and whoever restores the backup would have made a fork.
 */
async function awaitSynced({ journal }: HostStore, seq: number, signal: AbortSignal | undefined): Promise<void> {
  while (journal.lastSeq < seq) {
    const options = { after: journal.lastSeq, ...(signal === undefined ? {} : { signal }) }
    for await (const update of journal.subscribe(options)) {
      // The store was opened anew: the snapshot is gone, which whoever reads it finds out.
      if (update.kind === 'resync') return
      break
    }
    signal?.throwIfAborted()
  }
}

/** Threads that are not being deleted, with their chains in order of number. */
async function* threadsIn(
  view: ReadView,
  only: ThreadId | undefined,
): AsyncGenerator<{ row: ThreadRow; logs: LogState[] }> {
  for await (const [key, value] of view.entries(rowRange('t'))) {
    const row = decodeThreadRow(new KeyReader(key).number(), value)
    if (row.phase !== 'live' || (only !== undefined && row.id !== only)) continue
    const logs: LogState[] = []
    for await (const [logKey, logValue] of view.entries(rowRange('l', row.number))) {
      const parts = new KeyReader(logKey)
      parts.number()
      logs.push(decodeLogRow(parts.number(), logValue))
    }
    yield { row, logs }
  }
}

function peersOf(row: ThreadRow, logs: readonly LogState[]): PeerId[] {
  const named = threadOf(row, new Map(logs.map((log) => [log.chain, log]))).peers()
  return [...named, ...row.followers]
}

function threadFrame(thread: ThreadRow): BackupFrame {
  // Who writes which log is left out with the keys: whoever writes after a restore gets a new log.
  const row = encodeThreadRow({ ...thread, writers: new Map(), stale: thread.appData !== undefined })
  return { $case: 'thread', value: { threadID: threadIdToBytes(thread.id), row } }
}

function logFrame(thread: ThreadRow, log: LogState, after: number): BackupFrame {
  const { counter, cid } = log.head
  const chain = {
    threadID: threadIdToBytes(thread.id),
    number: BigInt(log.number),
    base: BigInt(baseOf(log)),
    counter: BigInt(counter),
    head: cid?.bytes ?? EMPTY_BYTES,
  }
  return { $case: 'log', value: { chain, after: BigInt(after), row: encodeLogRow(withoutKey(thread, log)) } }
}

function withoutKey(thread: ThreadRow, log: LogState): LogState {
  const retired = log.retired || log.managed || log.privateKey !== undefined
  return { ...log, privateKey: undefined, unpulled: false, retired, attestation: attestationOf(thread, log) }
}

/** Nothing follows the head in the backup, so nothing else there vouches for it. */
function attestationOf({ id }: ThreadRow, { id: logId, head, privateKey, ...log }: LogState): Uint8Array | undefined {
  const { counter, cid } = head
  if (log.attestation !== undefined || cid === undefined || privateKey === undefined || log.unpulled) {
    return log.attestation
  }
  return attestHead(privateKey, { threadId: id, logId, counter, head: cid })
}

/** The counter of the head that the caller knows, if the chain still has it: then all before it is the same too. */
async function heldUntil(
  view: ReadView,
  { row, log }: { row: ThreadRow; log: LogState },
  known: ReadonlyMap<string, BackupChain>,
): Promise<number> {
  const base = baseOf(log)
  const held = known.get(chainName({ threadID: threadIdToBytes(row.id), number: BigInt(log.number) }))
  if (held === undefined || held.base !== BigInt(base)) return base
  const counter = Number(held.counter)
  if (counter <= base || counter > log.head.counter) return base
  const value = await view.get(recordRowKey(row.number, log.number, counter))
  if (value === undefined) throw missing(log, counter)
  return equalBytes(cidOf(decodeRecordRow(value).recordNode).bytes, held.head) ? counter : base
}

/** The records of a chain in runs that fit a frame. Throws STORE_CORRUPT if one is missing. */
async function* runsOf(
  view: ReadView,
  { thread, log, after }: Sending,
): AsyncGenerator<{ first: number; records: RecordBlocks[] }> {
  let [first, records, bytes]: [number, RecordBlocks[], number] = [after + 1, [], 0]
  const { counter } = log.head
  const range = {
    gte: recordRowKey(thread.number, log.number, first),
    lt: recordRowKey(thread.number, log.number, counter + 1),
  }
  for await (const [key, value] of view.entries(range)) {
    if (readRecordKey(key).counter !== first + records.length) break
    const blocks = decodeRecordRow(value)
    const length = recordBytes(blocks)
    if (records.length > 0 && bytes + length > MAX_RECORDS_BYTES) {
      yield { first, records }
      ;[first, records, bytes] = [first + records.length, [], 0]
    }
    records.push(blocks)
    bytes += length
  }
  if (first + records.length !== counter + 1) throw missing(log, first + records.length)
  if (records.length > 0) yield { first, records }
}

function missing(log: LogState, counter: number): ThreadsError {
  return new ThreadsError('STORE_CORRUPT', `record ${counter} of log ${log.id} is missing`)
}
