import { type Address, peerAddress } from '../core/address.ts'
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
import type { NewThreadOptions } from './index.ts'
import { mergeLog, refuseTooManyLogs } from './merge-log.ts'
import { storeNewThread } from './new-thread.ts'
import type { ResolvedNetOptions } from './options.ts'
import type { PeerLog } from './replica.ts'
import { emptyLog, type LogState, type ThreadState } from './rows.ts'
import type { ThreadEntry } from './thread-entry.ts'
import type { Threads } from './threads.ts'
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
    return this.#ensure(id, { ...options, key }, (draft) => this.#enter(draft, options))
  }

  /** Stores a thread that was found at a peer, with the peer's logs, and one of the caller if he can write. */
  join(id: ThreadId, options: NewThreadOptions & { key: ThreadKey; logs: readonly PeerLog[] }): Promise<ThreadEntry> {
    const writes = options.key.read !== undefined || options.logKey !== undefined
    return this.#ensure(id, options, (draft) => {
      for (const log of options.logs) mergeIfGood(draft, log, this.#options)
      if (writes) this.#enter(draft, options)
    })
  }

  /** Throws LOG_EXISTS if the log is here that the caller brings the key of; or, if he brings none, one of his. */
  refuseSecondLog(id: ThreadId, options: NewThreadOptions): void {
    // What waits to be stored may fail; `#enter` looks at that.
    const state = this.#components.threads.find(id)?.stored
    if (state !== undefined) this.#refuseSecondLog(state, options)
  }

  #refuseSecondLog({ logs, writers }: ThreadState, { caller, logKey }: NewThreadOptions): void {
    const exists =
      logKey === undefined
        ? writers.has(this.writerOf(caller))
        : logs.get(peerIdOf(publicPart(logKey)))?.managed === true
    if (exists) throw new ThreadsError('LOG_EXISTS', 'log already exists')
  }

  /** The log a caller writes; made in the draft if he has none, or one that is retired. */
  ownLog(draft: ThreadDraft, caller: Caller): LogState {
    const id = draft.state.writers.get(this.writerOf(caller))
    const known = id === undefined ? undefined : draft.log(id)
    if (known !== undefined && !known.retired) return known
    return this.#addLog(draft, caller, { key: generateKey(this.#components.random), brought: false })
  }

  /** Makes the log of a key the one that the caller writes from now on. `brought`: the key was made elsewhere. */
  #addLog(
    draft: ThreadDraft,
    caller: Caller,
    { key, brought }: { key: PrivateKey | PublicKey; brought: boolean },
  ): LogState {
    const id = peerIdOf(publicPart(key))
    const log = draft.state.logs.get(id)
    if (log === undefined) refuseTooManyLogs(draft, this.#options)
    draft.setLog({
      ...(log ?? emptyLog(draft.nextLogNumber(), publicPart(key))),
      privateKey: 'sign' in key ? key : undefined,
      managed: true,
      addresses: this.#withOwnAddress(log?.addresses ?? []),
      unpulled: brought && this.#hasPeers(draft),
    })
    draft.setThread({ writers: new Map(draft.state.writers).set(this.writerOf(caller), id) })
    return draft.log(id)
  }

  #withOwnAddress(addresses: readonly Address[]): readonly Address[] {
    const own = peerAddress(this.#components.hostId)
    return addresses.includes(own) ? addresses : [own, ...addresses].slice(0, this.#options.maxLogAddresses)
  }

  #hasPeers(draft: ThreadDraft): boolean {
    const { hostId } = this.#components
    return [...draft.state.peers()].some((peer) => peer !== hostId)
  }

  /** Adds the address of a replicator to the logs written on this host. Answers those that lacked it. Throws TOO_LARGE. */
  async addReplicator(entry: ThreadEntry, peer: PeerId): Promise<LogId[]> {
    const address = peerAddress(peer)
    const { maxLogAddresses } = this.#options
    const { result, stored } = await this.#components.writer.write(entry, async (draft) => {
      const lacking = [...draft.state.logs.values()].filter((log) => log.managed && !log.addresses.includes(address))
      for (const log of lacking) {
        if (log.addresses.length >= maxLogAddresses) {
          throw new ThreadsError('TOO_LARGE', `log ${log.id} has ${maxLogAddresses} addresses already`)
        }
        draft.setLog({ ...log, addresses: [...log.addresses, address] })
      }
      return lacking.map((log) => log.id)
    })
    await stored
    return result
  }

  /** Takes the address back from these logs. */
  async removeReplicator(entry: ThreadEntry, peer: PeerId, logIds: readonly LogId[]): Promise<void> {
    const address = peerAddress(peer)
    const { stored } = await this.#components.writer.write(entry, async (draft) => {
      for (const log of logIds.map((id) => draft.log(id))) {
        draft.setLog({ ...log, addresses: log.addresses.filter((each) => each !== address) })
      }
    })
    await stored
  }

  #enter(draft: ThreadDraft, { caller = {}, logKey }: NewThreadOptions): void {
    this.#refuseSecondLog(draft.state, { caller, ...(logKey === undefined ? {} : { logKey }) })
    if (logKey === undefined) this.ownLog(draft, caller)
    else this.#addLog(draft, caller, { key: logKey, brought: 'sign' in logKey })
  }

  /** The thread with this key; made if it is not here. What `complete` adds goes into the same batch. */
  async #ensure(
    id: ThreadId,
    { key, appData }: NewThreadOptions & { key: ThreadKey },
    complete: (draft: ThreadDraft) => void,
  ): Promise<ThreadEntry> {
    const { threads, writer } = this.#components
    const fill = (draft: ThreadDraft): void => {
      complete(draft)
      if (appData !== undefined) draft.setThread({ appData })
    }
    const { entry, created } = await threads.findOrCreate(id, () =>
      storeNewThread(this.#components, { id, key, unsolicited: false, keptFor: undefined }, fill),
    )
    if (created) return entry
    const { stored } = await writer.write(entry, async (draft) => {
      refuseOtherKey(draft.state.key, key)
      if (appData !== undefined && draft.state.appData !== undefined) {
        throw new ThreadsError('THREAD_IN_USE', 'thread is in use')
      }
      if (draft.state.key.read === undefined && key.read !== undefined) draft.setThread({ key })
      if (draft.state.unsolicited) draft.setThread({ unsolicited: false, keptFor: undefined })
      fill(draft)
    })
    await stored
    await writer.resume(entry)
    return entry
  }
}

function refuseOtherKey(held: ThreadKey, key: ThreadKey): void {
  if (!equalBytes(held.service, key.service)) throw new ThreadsError('KEY_MISMATCH', 'service-key mismatch')
  if (held.read !== undefined && key.read !== undefined && !equalBytes(held.read, key.read)) {
    throw new ThreadsError('KEY_MISMATCH', 'read-key mismatch')
  }
}

/** One bad log of a peer keeps none of the others out. */
function mergeIfGood(draft: ThreadDraft, log: PeerLog, limits: ResolvedNetOptions): void {
  try {
    mergeLog(draft, log, limits)
  } catch (error) {
    if (!(error instanceof ThreadsError)) throw error
  }
}

function publicPart(key: PrivateKey | PublicKey): PublicKey {
  return 'sign' in key ? key.publicKey : key
}
