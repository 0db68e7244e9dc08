import type { PeerId } from '../core/peer-id.ts'
import type { ThreadId } from '../core/thread-id.ts'
import { Mutex } from '../util/mutex.ts'
import type { App } from './app.ts'
import type { ChainKey } from './chain-key.ts'
import type { ThreadState } from './rows.ts'
import { Waits } from './waits.ts'

/** Peers remembered as proven besides those that logs name; the oldest goes first, and proves itself again. */
const MAX_PROVEN = 1_000

/** A thread of this host while it runs. */
export class ThreadEntry {
  readonly id: ThreadId
  readonly number: number
  /** What is stored once the batches under way are. Writers build on this. */
  prepared: ThreadState
  /** One writer at a time. */
  readonly writer: Mutex = new Mutex()
  app: App | undefined
  /** Logs whose cursor stands before their head, and what for. */
  readonly waits: Waits = new Waits()
  /** Logs that could not be folded, and how many of their records are tried together next. */
  readonly careful: Map<ChainKey, number> = new Map()
  cancelWait: (() => void) | undefined
  /** Something stored of the thread was found not to be what was written. */
  damaged = false
  readonly #proven = new Set<PeerId>()
  #stored: ThreadState
  /** The newest state that survives a power loss. */
  #synced: ThreadState
  /** States stored that do not, or were not known to; oldest first. Only with relaxed durability they stay for long. */
  #unsynced: { readonly state: ThreadState; readonly seq: number }[] = []
  #told: { readonly stored: ThreadState; readonly synced: ThreadState; readonly state: ThreadState } | undefined

  constructor(state: ThreadState) {
    this.id = state.id
    this.number = state.number
    this.prepared = state
    this.#stored = state
    this.#synced = state
  }

  /** What readers of this host see. */
  get stored(): ThreadState {
    return this.#stored
  }

  /**
   * What peers are told. Of logs written here, only what survives a power loss: peers would keep a record that is lost
   * here, and the next one written would be another in its place. `lastSeq` is the newest commit that survives.
   */
  told(lastSeq: number): ThreadState {
    this.#passSynced(lastSeq)
    const [stored, synced] = [this.#stored, this.#synced]
    if (stored === synced) return stored
    if (this.#told?.stored === stored && this.#told.synced === synced) return this.#told.state
    const logs = new Map(stored.logs)
    for (const log of stored.logs.values()) {
      if (log.privateKey === undefined) continue
      const head = synced.logs.get(log.chain)?.head ?? { counter: 0, cid: undefined }
      logs.set(log.chain, { ...log, head, attestation: undefined })
    }
    this.#told = { stored, synced, state: { ...stored, logs } }
    return this.#told.state
  }

  /** The batch that made `state` is stored as commit `seq`. */
  store(state: ThreadState, commit: { seq: number; lastSeq: number }): void {
    this.#stored = state
    this.#unsynced.push({ state, seq: commit.seq })
    this.#passSynced(commit.lastSeq)
  }

  #passSynced(lastSeq: number): void {
    let count = 0
    for (const { seq, state } of this.#unsynced) {
      if (seq > lastSeq) break
      this.#synced = state
      count++
    }
    if (count > 0) this.#unsynced.splice(0, count)
  }

  /** Forgets what was under way: `state` is what the store holds. */
  reset(state: ThreadState): void {
    this.prepared = state
    this.#stored = state
    this.#synced = state
    this.#unsynced = []
  }

  stopWaiting(): void {
    this.cancelWait?.()
    this.cancelWait = undefined
  }

  /** The thread is not here any more: writers that wait find that out. */
  end(): void {
    this.stopWaiting()
    this.prepared = { ...this.prepared, phase: 'deleting' }
  }

  /** Whether the peer showed that it belongs to the thread, or a log names it. */
  isProven(peer: PeerId): boolean {
    return this.#proven.has(peer) || this.#stored.peers().has(peer) || this.#stored.followers.includes(peer)
  }

  prove(peer: PeerId): void {
    if (this.#proven.has(peer)) return
    for (const oldest of this.#proven) {
      if (this.#proven.size < MAX_PROVEN) break
      this.#proven.delete(oldest)
    }
    this.#proven.add(peer)
  }

  /** Takes back `prove`. */
  disprove(peer: PeerId): void {
    this.#proven.delete(peer)
  }
}
