/** Checks of messages from a thread's topic, in the order that costs least. Who sent them counts for nothing. */
import { ThreadsError } from '../../core/errors.ts'
import type { PublicKey } from '../../core/keys.ts'
import { canonicalBlocks, checkLinks, openRecord, type Record, verifyRecord } from '../../core/record.ts'
import type { SymmetricKey } from '../../core/symmetric.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import { MAX_TOPIC_MESSAGE_BYTES } from '../host/pubsub.ts'
import { type PushRecordRequest, pushRecordRequest } from '../protocol/messages.ts'

/** What is wrong with a message. */
export type Flaw =
  | 'tooLarge'
  /** It cannot be read, or its blocks are not those that the record names. */
  | 'malformed'
  /** It is of another thread, or the service key does not open it. */
  | 'foreign'
  /** The key of the log did not sign the record. */
  | 'forged'

export type OpenedMessage =
  | { readonly flaw: undefined; readonly request: PushRecordRequest; readonly record: Record }
  | { readonly flaw: Flaw }

/** Opens a message, up to the signature of its record. */
export function openMessage(
  data: Uint8Array,
  { threadId, serviceKey }: { threadId: ThreadId; serviceKey: SymmetricKey },
): OpenedMessage {
  if (data.length > MAX_TOPIC_MESSAGE_BYTES) return { flaw: 'tooLarge' }
  const request = unlessInvalid(() => pushRecordRequest.decode(data))
  if (request === undefined) return { flaw: 'malformed' }
  if (request.threadId !== threadId) return { flaw: 'foreign' }
  const blocks = unlessInvalid(() => canonicalBlocks(request.record))
  if (blocks === undefined) return { flaw: 'malformed' }
  const record = unlessInvalid(() => openRecord(blocks.recordNode, serviceKey))
  if (record === undefined) return { flaw: 'foreign' }
  const linked = unlessInvalid(() => checkLinks(record, blocks))
  return linked === undefined ? { flaw: 'malformed' } : { flaw: undefined, request, record }
}

export function isSigned(record: Record, logKey: PublicKey): boolean {
  return unlessInvalid(() => verifyRecord(record, logKey) ?? true) === true
}

function unlessInvalid<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof ThreadsError) return undefined
    throw error
  }
}
