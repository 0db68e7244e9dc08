import type { CID } from 'multiformats/cid'
import { EMPTY_BYTES } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import { decodeEvent } from '../../core/event-block.ts'
import { openRecord, type RecordBlocks } from '../../core/record.ts'
import type { SymmetricKey } from '../../core/symmetric.ts'
import type { BlockSession } from '../protocol/block-source.ts'

/** Records on one walk. Their envelopes, a few hundred bytes each, are held until the other end is reached. */
const MAX_RECORDS = 200_000
const MAX_ENVELOPE_BYTES = 64 * 1024 * 1024
/** Records of which the other blocks are fetched at once, each of at most the size of a message. */
const RECORDS_AT_ONCE = 16

export interface Walk {
  /** Record to begin with; the newest of those wanted. */
  readonly from: CID
  /** Our head; absent if the log is wanted from its start. */
  readonly to: CID | undefined
  readonly serviceKey: SymmetricKey
}

interface Envelope {
  readonly recordNode: Uint8Array
  readonly event: CID
}

/**
 * Follows a log from one record back to our head, block by block, and yields the records between, oldest first. A log
 * that does not lead to our head is yielded from its start. Throws TOO_LARGE for a walk that is too long, INVALID_RECORD,
 * and what `BlockSession.fetch` does.
 */
export async function* walkLog(session: BlockSession, walk: Walk): AsyncGenerator<RecordBlocks[]> {
  const envelopes = await envelopesBetween(session, walk)
  for (let at = 0; at < envelopes.length; at += RECORDS_AT_ONCE) {
    yield* completeAll(session, envelopes.slice(at, at + RECORDS_AT_ONCE))
  }
}

/** If a block cannot be had, the records before the one it belongs to are yielded all the same. */
async function* completeAll(session: BlockSession, envelopes: readonly Envelope[]): AsyncGenerator<RecordBlocks[]> {
  const all = await complete(session, envelopes).catch(() => undefined)
  if (all !== undefined) yield all
  else for (const envelope of envelopes) yield await complete(session, [envelope])
}

async function envelopesBetween(session: BlockSession, { from, to, serviceKey }: Walk): Promise<Envelope[]> {
  const envelopes: Envelope[] = []
  let bytes = 0
  for (let cid: CID | undefined = from; cid !== undefined && !cid.equals(to); ) {
    if (envelopes.length >= MAX_RECORDS) {
      throw new ThreadsError('TOO_LARGE', `more than ${MAX_RECORDS} records are missing`)
    }
    const [recordNode = EMPTY_BYTES] = await session.fetch([cid])
    bytes += recordNode.length
    if (bytes > MAX_ENVELOPE_BYTES) throw new ThreadsError('TOO_LARGE', 'the records that are missing are too large')
    const { block, prev } = openRecord(recordNode, serviceKey)
    envelopes.push({ recordNode, event: block })
    cid = prev
  }
  return envelopes.toReversed()
}

/** Blocks that stay out are empty here; the checks of records refuse them. */
async function complete(session: BlockSession, envelopes: readonly Envelope[]): Promise<RecordBlocks[]> {
  const events = await session.fetch(envelopes.map(({ event }) => event))
  const links = events.map(decodeEvent)
  const rest = await session.fetch(links.flatMap(({ header, body }) => [header, body]))
  return envelopes.map(({ recordNode }, index) => ({
    recordNode,
    eventNode: events[index] ?? EMPTY_BYTES,
    headerNode: rest[2 * index] ?? EMPTY_BYTES,
    bodyNode: rest[2 * index + 1] ?? EMPTY_BYTES,
  }))
}
