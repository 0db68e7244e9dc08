import { ThreadsError } from '../core/errors.ts'
import type { PeerId } from '../core/peer-id.ts'
import type { ResolvedNetOptions } from './options.ts'
import type { ThreadState } from './rows.ts'
import type { Threads } from './threads.ts'

/** Logs for each thread that may be kept, on average. A log costs memory, with or without records. */
const LOGS_PER_THREAD = 10

type QuotaOptions = Pick<
  ResolvedNetOptions,
  'replicateFor' | 'maxUnsolicitedThreads' | 'maxUnsolicitedBytes' | 'maxLogs'
>

interface Amounts {
  threads: number
  logs: number
  bytes: number
}

type Kind = keyof Amounts

/**
 * What this host keeps for others: threads that peers asked it to keep, and no user of it did. All of them together have a
 * limit. Of what the others leave of it a peer gets at most half, unless the user named the peer: so no peer can use up
 * all, nor can many. Counted when it is asked for; what is being stored meanwhile comes on top.
 */
export class UnsolicitedQuota {
  readonly #threads: Threads
  readonly #replicateFor: QuotaOptions['replicateFor']
  readonly #most: Amounts

  constructor(threads: Threads, options: QuotaOptions) {
    const { replicateFor, maxUnsolicitedThreads: most, maxUnsolicitedBytes, maxLogs } = options
    this.#threads = threads
    this.#replicateFor = replicateFor
    // In any case enough for a peer that brings a thread with all the logs it may have.
    this.#most = { threads: most, logs: Math.max(2 * maxLogs, most * LOGS_PER_THREAD), bytes: maxUnsolicitedBytes }
  }

  /** Throws PEER_REFUSED if the host keeps no threads for the peer, NO_SPACE if there is no room for one more. */
  refuseThread(peer: PeerId): void {
    const allowed = this.#replicateFor
    // As if it were nobody's business that the host could keep threads.
    if (allowed === 'none' || (allowed !== 'anyone' && !allowed.includes(peer))) {
      throw new ThreadsError('PEER_REFUSED', 'thread not found')
    }
    this.#refuse('threads', 1, peer)
  }

  /** Throws NO_SPACE if there is no room for so many more logs in a thread. */
  refuseLogs(thread: ThreadState, count: number): void {
    if (thread.unsolicited && count > 0) this.#refuse('logs', count, thread.keptFor)
  }

  /** Throws NO_SPACE if there is no room for so many bytes of records in a thread. */
  refuseBytes(thread: ThreadState, bytes: number): void {
    if (thread.unsolicited) this.#refuse('bytes', bytes, thread.keptFor)
  }

  #refuse(kind: Kind, amount: number, peer: PeerId | undefined): void {
    const { all, ofPeer } = this.#used(kind, peer)
    const most = this.#most[kind]
    if (all + amount > most) {
      throw new ThreadsError('NO_SPACE', `this host keeps ${all} ${kind} for others, of at most ${most}`)
    }
    const isListed = peer !== undefined && this.#replicateFor !== 'anyone' && this.#replicateFor.includes(peer)
    const share = isListed ? most : Math.ceil((most - (all - ofPeer)) / 2)
    if (ofPeer + amount > share) {
      throw new ThreadsError('NO_SPACE', `this host keeps ${ofPeer} ${kind} for this peer, of at most ${share}`)
    }
  }

  #used(kind: Kind, peer: PeerId | undefined): { all: number; ofPeer: number } {
    const used = { all: 0, ofPeer: 0 }
    for (const thread of this.#threads.unsolicited()) {
      const amount = kind === 'threads' ? 1 : kind === 'logs' ? thread.logs.size : thread.bytes
      used.all += amount
      if (thread.keptFor === peer) used.ofPeer += amount
    }
    return used
  }
}
