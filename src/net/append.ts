import type { CID } from 'multiformats/cid'
import type { Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import { sealEvent } from '../core/event-block.ts'
import { type Identity, publicKeyOfIdentity } from '../core/identity.ts'
import { type RecordBlocks, sealRecord } from '../core/record.ts'
import type { ThreadKey } from '../core/thread-key.ts'
import type { LogState } from './rows.ts'

export interface PreparedRecord {
  readonly counter: number
  readonly cid: CID
  readonly eventCid: CID
  readonly blocks: RecordBlocks
}

export interface PrepareOptions {
  readonly body: Uint8Array
  readonly author: Identity
  readonly key: ThreadKey
  readonly maxRecordBytes: number
  readonly random: Random
}

/** Makes the next record of a log. Changes nothing: the caller stores record and head together. */
export function prepareRecord(log: LogState, options: PrepareOptions): PreparedRecord {
  const { key, random } = options
  if (log.privateKey === undefined) {
    throw new ThreadsError('PRIVATE_KEY_REQUIRED', 'a private-key is required to create records')
  }
  if (key.read === undefined) throw new ThreadsError('READ_KEY_REQUIRED', 'a read-key is required to create records')
  const { eventNode, headerNode, bodyNode, eventCid } = sealEvent(options.body, key.read, random)
  const { recordNode, cid } = sealRecord({
    event: eventCid,
    ...(log.head.cid === undefined ? {} : { prev: log.head.cid }),
    logKey: log.privateKey,
    author: publicKeyOfIdentity(options.author),
    serviceKey: key.service,
    random,
  })
  const blocks = { recordNode, eventNode, headerNode, bodyNode }
  refuseTooLarge(blocks, options.maxRecordBytes)
  return { counter: log.head.counter + 1, cid, eventCid, blocks }
}

export function recordBytes(blocks: RecordBlocks): number {
  return blocks.recordNode.length + blocks.eventNode.length + blocks.headerNode.length + blocks.bodyNode.length
}

export function refuseTooLarge(blocks: RecordBlocks, maxRecordBytes: number): void {
  const bytes = recordBytes(blocks)
  if (bytes > maxRecordBytes) {
    throw new ThreadsError('TOO_LARGE', `the record has ${bytes} bytes, at most ${maxRecordBytes} are allowed`, {
      hint: 'Split the transaction into smaller ones.',
    })
  }
}
