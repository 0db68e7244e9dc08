import type { Caller } from '../core/caller.ts'
import type { Random } from '../core/clock.ts'
import type { LogId } from '../core/peer-id.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { HostStore } from '../store/host-store.ts'
import type { Commit } from '../store/commit.ts'
import type { ReadView } from '../store/ordered-store.ts'
import { ThreadsError } from '../core/errors.ts'
import type { BranchPoint, Cursor, Draft, OwnedThread, RecordPlace, ThreadRecord, WaitingLog } from './app.ts'
import { prepareRecord } from './append.ts'
import type { ChainKey } from './chain-key.ts'
import type { ThreadDraft } from './draft.ts'
import type { FirstPulls } from './first-pulls.ts'
import type { Membership } from './membership.ts'
import type { ResolvedNetOptions } from './options.ts'
import { RecordReader } from './record-reader.ts'
import type { ThreadEntry } from './thread-entry.ts'
import type { Writer } from './writer.ts'

export interface OwnerComponents {
  readonly membership: Membership
  readonly writer: Writer
  readonly pulls: FirstPulls
  readonly store: HostStore
  readonly random: Random
  readonly options: ResolvedNetOptions
}

/** A thread in the hands of whoever writes it. */
export class ThreadOwner implements OwnedThread {
  readonly #entry: ThreadEntry
  readonly #components: OwnerComponents

  constructor(entry: ThreadEntry, components: OwnerComponents) {
    this.#entry = entry
    this.#components = components
  }

  get id(): ThreadId {
    return this.#entry.id
  }

  get number(): number {
    return this.#entry.number
  }

  get reads(): ReadView {
    return this.#components.store.reads
  }

  appData(): unknown {
    return this.#entry.prepared.appData
  }

  storedAppData(): unknown {
    return this.#entry.stored.appData
  }

  stale(): boolean {
    return this.#entry.prepared.stale
  }

  cursors(): ReadonlyMap<ChainKey, Cursor> {
    return new Map([...this.#entry.prepared.logs.values()].map(({ chain, cursor }) => [chain, cursor]))
  }

  branches(): ReadonlyMap<ChainKey, BranchPoint> {
    const logs = [...this.#entry.prepared.logs.values()]
    return new Map(logs.flatMap(({ chain, branch }) => (branch === undefined ? [] : [[chain, branch]])))
  }

  ownLogs(): ReadonlySet<LogId> {
    const own = this.#entry.prepared.logs.values().filter(({ privateKey }) => privateKey !== undefined)
    return new Set(own.map(({ id }) => id))
  }

  write<T>(work: (draft: Draft) => Promise<T>): Promise<{ result: T; stored: Promise<Commit | undefined> }> {
    return this.#components.writer.write(this.#entry, (draft) =>
      work(new OwnerDraft(this.#entry, draft, this.#components)),
    )
  }

  waiting(): WaitingLog[] {
    const { stored, waits } = this.#entry
    const waiting: WaitingLog[] = []
    for (const { id: logId, chain, cursor, head } of stored.logs.values()) {
      const wait = cursor.counter < head.counter ? waits.find(chain) : undefined
      if (wait === undefined) continue
      const { reason, sinceMs } = wait
      waiting.push({ logId, chain, counter: cursor.counter + 1, head: head.counter, reason, sinceMs })
    }
    return waiting
  }

  resume(): Promise<void> {
    return this.#components.writer.resume(this.#entry)
  }

  record(chain: ChainKey, counter: number, view?: ReadView): Promise<ThreadRecord> {
    const { prepared } = this.#entry
    const log = prepared.logs.get(chain)
    if (log === undefined) throw new ThreadsError('LOG_NOT_FOUND', 'log not found')
    return new RecordReader(view ?? this.reads).at(prepared, log, counter)
  }

  recordOf(place: RecordPlace, view?: ReadView): Promise<ThreadRecord> {
    return new RecordReader(view ?? this.reads).recordOf(this.#entry.prepared, place)
  }

  settled(): Promise<void> {
    return this.#components.store.committer.settled(this.#entry.number)
  }

  detach(): void {
    this.#entry.app = undefined
    this.#entry.waits.clear()
  }
}

class OwnerDraft implements Draft {
  readonly #entry: ThreadEntry
  readonly #draft: ThreadDraft
  readonly #components: OwnerComponents

  constructor(entry: ThreadEntry, draft: ThreadDraft, components: OwnerComponents) {
    this.#entry = entry
    this.#draft = draft
    this.#components = components
  }

  get view(): ReadView {
    return this.#draft.view
  }

  get latestTime(): bigint {
    return this.#draft.state.latestTime
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#draft.operations([{ type: 'put', key, value }])
  }

  del(key: Uint8Array): void {
    this.#draft.operations([{ type: 'del', key }])
  }

  change(change: Parameters<Draft['change']>[0]): void {
    this.#draft.changes([change])
  }

  setAppData(value: unknown): void {
    this.#draft.setThread({ appData: value })
  }

  holdBack(logId: LogId, cursor: Cursor): void {
    const log = this.#draft.log(logId)
    this.#draft.setLog({ ...log, cursor, retired: log.retired || log.privateKey !== undefined })
  }

  rebuilt(cursors: ReadonlyMap<ChainKey, Cursor>): void {
    for (const [id, cursor] of cursors) this.#draft.setLog({ ...this.#draft.log(id), cursor })
    this.#draft.setThread({ stale: false })
  }

  async append(caller: Caller, body: Uint8Array): Promise<ThreadRecord> {
    const { membership, writer, pulls, random, options } = this.#components
    const log = membership.ownLog(this.#draft, caller)
    if (log.unpulled) {
      pulls.start(this.#entry)
      throw logWaits(log.id, 'a peer to say what it has of it')
    }
    const author = membership.writerOf(caller)
    const { key } = this.#draft.state
    const prepared = prepareRecord(log, { body, author, key, random, maxRecordBytes: options.maxRecordBytes })
    const owned = this.#entry.app !== undefined
    if (owned && !writer.foldsAtOnce(this.#entry, this.#draft, log.id)) {
      const reason = this.#entry.waits.get(log.id)?.kind ?? 'records before it'
      throw logWaits(log.id, reason)
    }
    this.#draft.addRecord(log.id, prepared.cid, prepared.blocks)
    const { id: logId, chain, head } = log
    const prev = head.cid === undefined ? {} : { prev: head.cid }
    const record = { ...prepared, ...prev, threadId: this.#entry.id, logId, chain, author, body }
    if (owned) await writer.fold(this.#entry, this.#draft, { records: [record], local: true })
    return record
  }
}

function logWaits(log: LogId, reason: string): ThreadsError {
  return new ThreadsError('LOG_WAITS', `log ${log} waits for ${reason}`, { hint: 'Try again later.' })
}
