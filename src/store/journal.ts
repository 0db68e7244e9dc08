import { ThreadsError } from '../core/errors.ts'
import type { Commit } from './commit.ts'
import { CommitTail } from './commit-tail.ts'
import { decodeJournalRow, encodeJournalRow, type JournalRow } from './journal-row.ts'
import { parseKey, rowKey, rowRange } from './key-codec.ts'
import type { KeyRange, Operation, ReadView } from './ordered-store.ts'

/** What a subscriber gets. After `resync` the subscription is over. */
export type JournalUpdate =
  | { readonly kind: 'commit'; readonly commit: Commit }
  /** Commits between are not kept any more, or never were of this store: read the state, then subscribe after `seq`. */
  | { readonly kind: 'resync'; readonly seq: number }

export interface SubscribeOptions {
  /** Last commit already seen. Default: none before the call are of interest. */
  after?: number
  /** Ends the subscription, without an error; the only way to end one that waits. */
  signal?: AbortSignal
}

/** The commits of a store, in order. Only commits that survive a power loss are visible here. */
export interface Journal {
  /** The newest visible commit; 0 in a new store. */
  readonly lastSeq: number
  /**
   * Commits in order, each at least once, none left out. Those in memory come with their documents. A subscriber may be
   * as slow as it likes: it is a position, not a queue. Throws CLOSED when the store closes.
   */
  subscribe(options?: SubscribeOptions): AsyncIterable<JournalUpdate>
}

export interface JournalOptions {
  /** What the journal may take on disk. Older rows are deleted. */
  feedBytes: number
  /** What commits in memory may take. */
  tailBytes: number
  /** Called when rows should be deleted: see {@link CommitJournal.trim}. */
  onOverfull(): void
}

/** Journal rows read from the disk at once. */
const PAGE_ROWS = 256

/** Rows deleted in one batch, at most. Deleting is a commit of its own: at fewer rows than two it would not end. */
const TRIM_ROWS = { most: 512, least: 2 }

/**
 * Rows looked at after an unclean close. LevelDB can lose at most what four write buffers of 16 MiB held, and no batch
 * takes less than this share of them.
 */
const GAP_CHECK_ROWS = (4 * 16 * 1024 * 1024) / 128

/**
 * The journal as its committer sees it. Invariant: oldest - 1 <= announced <= prepared, and every row from `oldest` to
 * `announced` is stored.
 */
export class CommitJournal implements Journal {
  readonly #store: ReadView
  readonly #options: JournalOptions
  readonly #tail: CommitTail
  readonly #wakers = new Set<() => void>()
  #oldest = 1
  #announced = 0
  #prepared = 0
  /** Offsets in the sense of {@link JournalRow}: of the oldest row kept, and behind the newest prepared one. */
  #baseOffset = 0
  #endOffset = 0
  /** Goes up when what subscribers were told is not the whole truth any more. */
  #epoch = 0
  #closed = false

  constructor(store: ReadView, options: JournalOptions) {
    this.#store = store
    this.#options = options
    this.#tail = new CommitTail({ maxBytes: options.tailBytes })
  }

  get lastSeq(): number {
    return this.#announced
  }

  get nextSeq(): number {
    return this.#prepared + 1
  }

  /** Reads from the disk where the journal stands. Everything found there is visible from now on. */
  async load(): Promise<void> {
    const newest = await this.#firstRow({ ...rowRange('f'), reverse: true })
    const oldest = await this.#firstRow(rowRange('f'))
    this.#tail.clear()
    this.#oldest = oldest?.row.commit.seq ?? 1
    this.#baseOffset = oldest?.row.offset ?? 0
    this.#prepared = newest?.row.commit.seq ?? 0
    this.#endOffset = newest === undefined ? 0 : newest.row.offset + newest.bytes
    this.#announced = this.#prepared
    this.#wake()
  }

  /** The row of the next commit, to be written in its batch. */
  prepare(commit: Commit): Operation {
    const value = encodeJournalRow(this.#endOffset, commit)
    this.#prepared = commit.seq
    this.#endOffset += value.length
    return { type: 'put', key: rowKey('f', commit.seq), value }
  }

  /** Makes stored commits visible. They follow the last visible one. */
  announce(commits: readonly Commit[]): void {
    for (const commit of commits) {
      this.#tail.push(commit)
      this.#announced = commit.seq
    }
    this.#wake()
    if (this.overfull) this.#options.onOverfull()
  }

  /** Subscribers end. Nothing is visible any more. */
  close(): void {
    this.#closed = true
    this.#wake()
  }

  subscribe(options: SubscribeOptions = {}): AsyncIterable<JournalUpdate> {
    return this.#follow(options.after ?? this.#announced, { epoch: this.#epoch, signal: options.signal })
  }

  /** State is changed by more than commits tell: subscribers must read it anew. */
  renounce(): void {
    this.#epoch++
    this.#wake()
  }

  async *#follow(
    after: number,
    { epoch, signal }: { epoch: number; signal: AbortSignal | undefined },
  ): AsyncGenerator<JournalUpdate> {
    let last = after
    while (!isAborted(signal)) {
      if (this.#closed) throw new ThreadsError('CLOSED', 'the store is closed')
      if (epoch !== this.#epoch || last > this.#announced || last + 1 < this.#oldest) {
        yield { kind: 'resync', seq: this.#announced }
        return
      }
      if (last === this.#announced) {
        await this.#more(signal)
        continue
      }
      const commit = this.#tail.get(last + 1)
      const commits = commit === undefined ? await this.#page(last) : [commit]
      if (commits.length === 0) {
        yield { kind: 'resync', seq: this.#announced }
        return
      }
      for (const next of commits) {
        if (isAborted(signal)) return
        yield { kind: 'commit', commit: next }
        last = next.seq
      }
    }
  }

  /** Stored commits directly after `last`; none if they were deleted meanwhile, or lost. */
  async #page(last: number): Promise<Commit[]> {
    const end = Math.min(last + PAGE_ROWS, this.#announced)
    const commits: Commit[] = []
    const range = { gte: rowKey('f', last + 1), lt: rowKey('f', end + 1) }
    for await (const [key, value] of this.#store.entries(range)) {
      const seq = parseKey(key).number()
      if (seq !== last + 1 + commits.length) break
      commits.push(decodeJournalRow(seq, value).commit)
    }
    return commits
  }

  #more(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wakers.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#wakers.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  #wake(): void {
    for (const wake of this.#wakers) wake()
  }

  /** Whether rows should be deleted to stay within `feedBytes`. */
  get overfull(): boolean {
    return this.#endOffset - this.#baseOffset > this.#options.feedBytes && this.#trimRows >= TRIM_ROWS.least
  }

  /** Where rows are few and large, half of them go. */
  get #trimRows(): number {
    return Math.min(TRIM_ROWS.most, Math.floor((this.#announced - this.#oldest) / 2))
  }

  /** Gives up the oldest rows and returns the operations that delete them. */
  async trim(): Promise<Operation[]> {
    const first = this.#oldest
    const rows = this.#trimRows
    const end = first + rows
    const value = await this.#store.get(rowKey('f', end))
    if (value === undefined) throw new ThreadsError('STORE_CORRUPT', `row ${end} of the commit journal is missing`)
    this.#baseOffset = decodeJournalRow(end, value).offset
    this.#oldest = end
    return Array.from({ length: rows }, (_, i) => ({ type: 'del', key: rowKey('f', first + i) }))
  }

  /**
   * The newest place where rows are missing: the commits between `before` and `after` were lost, or `undefined`.
   * To be asked after an unclean close, since LevelDB leaves out damaged parts of its log without a word.
   */
  async findGap(): Promise<JournalGap | undefined> {
    let after: number | undefined
    const newest = { ...rowRange('f'), reverse: true, limit: GAP_CHECK_ROWS, keysOnly: true }
    for await (const [key] of this.#store.entries(newest)) {
      const seq = parseKey(key).number()
      if (after !== undefined && seq !== after - 1) return { before: seq, after }
      after = seq
    }
    return undefined
  }

  async #firstRow(range: KeyRange): Promise<{ row: JournalRow; bytes: number } | undefined> {
    for await (const [key, value] of this.#store.entries({ ...range, limit: 1 })) {
      return { row: decodeJournalRow(parseKey(key).number(), value), bytes: value.length }
    }
    return undefined
  }
}

/** Commits were lost: the one numbered `before` is there, the next one there is `after`. */
export interface JournalGap {
  readonly before: number
  readonly after: number
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
