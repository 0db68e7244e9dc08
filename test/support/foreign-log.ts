import { randomBytes } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import { utf8 } from '../../src/core/bytes.ts'
import { sealEvent } from '../../src/core/event-block.ts'
import { encodeEvents, type EventType } from '../../src/core/events.ts'
import { identityOf } from '../../src/core/identity.ts'
import { generateKey, type PrivateKey } from '../../src/core/keys.ts'
import { type LogId, peerIdOf } from '../../src/core/peer-id.ts'
import { type RecordBlocks, sealRecord } from '../../src/core/record.ts'
import type { SymmetricKey } from '../../src/core/symmetric.ts'
import type { ThreadKey } from '../../src/core/thread-key.ts'
import type { Database } from '../../src/db/index.ts'
import type { TestHost } from './host.ts'

/** An event as a writer elsewhere may make it; nothing in it is checked. */
export interface ForeignEvent {
  readonly type: Exclude<EventType, 'unknown'>
  readonly id: string
  /** JSON, or what should be. */
  readonly patch?: string
  /** Default `Note`. */
  readonly collection?: string
  /** In ms since 1970. Default: now. */
  readonly atMs?: number
}

/** A log of a thread that is written elsewhere, with records good and bad. */
export class ForeignLog {
  readonly key: PrivateKey
  readonly id: LogId
  readonly #threadKey: Required<ThreadKey>
  #head: CID | undefined

  /** `key`: of the log; a new one by default. */
  constructor({ service, read }: ThreadKey, key: PrivateKey = generateKey(randomBytes)) {
    if (read === undefined) throw new Error('the key has no read part')
    this.key = key
    this.id = peerIdOf(this.key.publicKey)
    this.#threadKey = { service, read }
  }

  /** The next record. */
  record(events: readonly ForeignEvent[]): RecordBlocks {
    const made = this.fork(events)
    this.#head = made.cid
    return made.blocks
  }

  /** The next record, with any body. `read`: the key its header is encrypted with, by default that of the thread. */
  recordOf(body: Uint8Array, read?: SymmetricKey): RecordBlocks {
    const made = this.#seal(body, read)
    this.#head = made.cid
    return made.blocks
  }

  /** A record after the head that does not become the head. */
  fork(events: readonly ForeignEvent[]): { blocks: RecordBlocks; cid: CID } {
    return this.#seal(
      encodeEvents(
        events.map(({ type, id, patch, collection = 'Note', atMs = Date.now() }) => ({
          type,
          id,
          patch: patch === undefined ? undefined : utf8(patch),
          collection,
          instanceId: id,
          timestamp: BigInt(atMs) * 1_000_000n,
        })),
      ),
    )
  }

  #seal(body: Uint8Array, read: SymmetricKey = this.#threadKey.read): { blocks: RecordBlocks; cid: CID } {
    const { eventCid, ...event } = sealEvent(body, read, randomBytes)
    const { recordNode, cid } = sealRecord({
      event: eventCid,
      ...(this.#head === undefined ? {} : { prev: this.#head }),
      logKey: this.key,
      author: this.key.publicKey,
      serviceKey: this.#threadKey.service,
      random: randomBytes,
    })
    return { blocks: { recordNode, ...event }, cid }
  }

  /** Makes the log known to a host, which then takes its records. */
  async introduce({ net }: TestHost, database: Database): Promise<void> {
    const caller = { identity: identityOf(this.key.publicKey) }
    await net.createThread(database.id, { key: { ...this.#threadKey }, logKey: this.key.publicKey, caller })
  }
}
