import { peerAddress } from '../core/address.ts'
import type { Caller } from '../core/caller.ts'
import type { Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import { generateKey, type PrivateKey, type PublicKey } from '../core/keys.ts'
import { type LogId, type PeerId, peerIdOf } from '../core/peer-id.ts'
import type { ThreadId } from '../core/thread-id.ts'
import { newThreadKey, type ThreadKey } from '../core/thread-key.ts'
import { equalBytes } from '../core/bytes.ts'
import type { ThreadDraft } from './draft.ts'
import { mergeLog, storeNewThread } from './host-replica.ts'
import type { NewThreadOptions } from './index.ts'
import type { ResolvedNetOptions } from './options.ts'
import type { PeerLog } from './replica.ts'
import type { LogState, ThreadState } from './rows.ts'
import type { ThreadEntry, Threads } from './threads.ts'
import type { Writer } from './writer.ts'

export interface MembershipComponents {
  readonly threads: Threads
  readonly writer: Writer
  readonly hostId: PeerId
  readonly identity: Identity
  readonly random: Random
}

/** Creating and joining threads, and the logs of callers in them. */
export class Membership {
  readonly #components: MembershipComponents
  readonly #options: ResolvedNetOptions

  constructor(components: MembershipComponents, options: ResolvedNetOptions) {
    this.#components = components
    this.#options = options
  }

  /** Identity that writes for a caller. */
  writerOf(caller: Caller | undefined): Identity {
    return caller?.identity ?? this.#components.identity
  }

  /** Creates a thread with a log of the caller, or gives the caller a log in one that is here. */
  async create(id: ThreadId, options: NewThreadOptions): Promise<ThreadEntry> {
    this.refuseSecondLog(id, options)
    const key = options.key ?? newThreadKey(this.#components.random)
    return this.#ensure(id, key, (draft) => this.#enter(draft, options))
  }

  /** Stores a thread that was found at a peer, with the peer's logs, and one of the caller if he can write. */
  join(id: ThreadId, options: NewThreadOptions & { key: ThreadKey; logs: readonly PeerLog[] }): Promise<ThreadEntry> {
    const writes = options.key.read !== undefined || options.logKey !== undefined
    return this.#ensure(id, options.key, (draft) => {
      for (const log of options.logs) mergeLog(draft, log, this.#options)
      if (writes) this.#enter(draft, options)
    })
  }

  /** Throws LOG_EXISTS if the log is here that the caller brings the key of; or, if he brings none, one of his. */
  refuseSecondLog(id: ThreadId, options: NewThreadOptions): void {
    const state = this.#components.threads.find(id)?.prepared
    if (state !== undefined) this.#refuseSecondLog(state, options)
  }

  #refuseSecondLog({ logs, writers }: ThreadState, { caller, logKey }: NewThreadOptions): void {
    const exists =
      logKey === undefined
        ? writers.has(this.writerOf(caller))
        : logs.get(peerIdOf(publicPart(logKey)))?.managed === true
    if (exists) throw new ThreadsError('LOG_EXISTS', 'log already exists')
  }

  /** The log a caller writes; made in the draft if he has none. */
  ownLog(draft: ThreadDraft, caller: Caller): LogState {
    const known = draft.state.writers.get(this.writerOf(caller))
    return known === undefined ? this.#addLog(draft, caller, generateKey(this.#components.random)) : draft.log(known)
  }

  /** Makes the log of a key the one that the caller writes from now on. */
  #addLog(draft: ThreadDraft, caller: Caller, key: PrivateKey | PublicKey): LogState {
    const id = peerIdOf(publicPart(key))
    const log = draft.state.logs.get(id)
    draft.setLog({
      number: log?.number ?? draft.nextLogNumber(),
      id,
      publicKey: publicPart(key),
      privateKey: 'sign' in key ? key : undefined,
      managed: true,
      addresses: [...new Set([...(log?.addresses ?? []), peerAddress(this.#components.hostId)])],
      head: log?.head ?? { counter: 0, cid: undefined },
      cursor: log?.cursor ?? { counter: 0, time: 0n },
      row: log?.row ?? {},
    })
    draft.setThread({ writers: new Map(draft.state.writers).set(this.writerOf(caller), id) })
    return draft.log(id)
  }

  /** Adds or removes the address of a replicator in the logs written on this host. */
  async setReplicator(entry: ThreadEntry, peer: PeerId, present: boolean): Promise<LogId[]> {
    const address = peerAddress(peer)
    const { result, stored } = await this.#components.writer.write(entry, async (draft) => {
      const changed: LogId[] = []
      for (const log of draft.state.logs.values()) {
        if (!log.managed || log.addresses.includes(address) === present) continue
        const addresses = present ? [...log.addresses, address] : log.addresses.filter((each) => each !== address)
        draft.setLog({ ...log, addresses })
        changed.push(log.id)
      }
      return changed
    })
    await stored
    return result
  }

  #enter(draft: ThreadDraft, options: NewThreadOptions): void {
    const { caller = {}, logKey } = options
    this.#refuseSecondLog(draft.state, options)
    if (logKey === undefined) this.ownLog(draft, caller)
    else this.#addLog(draft, caller, logKey)
    draft.setThread({ unsolicited: false })
    if (options.appData !== undefined) draft.setThread({ appData: options.appData })
  }

  /** The thread with this key; made if it is not here. What `complete` adds goes into the same batch. */
  async #ensure(id: ThreadId, key: ThreadKey, complete: (draft: ThreadDraft) => void): Promise<ThreadEntry> {
    const { threads, writer } = this.#components
    const known = threads.find(id)
    if (known === undefined) return storeNewThread(this.#components, { id, key, unsolicited: false }, complete)
    const held = known.prepared.key
    if (!equalBytes(held.service, key.service)) throw new ThreadsError('KEY_MISMATCH', 'service-key mismatch')
    if (held.read !== undefined && key.read !== undefined && !equalBytes(held.read, key.read)) {
      throw new ThreadsError('KEY_MISMATCH', 'read-key mismatch')
    }
    const { stored } = await writer.write(known, async (draft) => {
      if (draft.state.key.read === undefined && key.read !== undefined) draft.setThread({ key })
      complete(draft)
    })
    await stored
    await writer.resume(known)
    return known
  }
}

function publicPart(key: PrivateKey | PublicKey): PublicKey {
  return 'sign' in key ? key.publicKey : key
}
