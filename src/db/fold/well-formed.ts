import { utf8 } from '../../core/bytes.ts'
import { type EventData, decodeEvents } from '../../core/events.ts'
import { type Document, member, parseDocument } from '../json.ts'
import {
  COLLECTION_NAME,
  MAX_COLLECTION_NAME_BYTES,
  MAX_EVENTS_PER_RECORD,
  MAX_INSTANCE_ID_BYTES,
  MAX_TIMESTAMP,
} from './constants.ts'
import { REASONS, type ReasonCode } from './reasons.ts'

/** An event of a well-formed record. */
export interface FoldEvent extends EventData {
  /** `patch` as a value; absent for a delete. */
  readonly document: Document | undefined
}

/** What a record says; or, where it must be refused whole, why. */
export type Content = { readonly kind: 'events'; readonly events: readonly FoldEvent[] } | Refused

export interface Refused {
  readonly kind: 'refused'
  readonly reason: ReasonCode
  /** Events of a record that is well formed all the same. */
  readonly events?: readonly FoldEvent[]
}

/**
 * Reads the body of a record; `undefined` stands for one that the thread's read key does not open. A record is well
 * formed or not on every host alike: this depends on nothing but the bytes. Never throws.
 */
export function readContent(body: Uint8Array | undefined): Content {
  if (body === undefined) return { kind: 'refused', reason: REASONS.unreadable }
  let decoded: EventData[]
  try {
    decoded = decodeEvents(body)
  } catch {
    return { kind: 'refused', reason: REASONS.undecodable }
  }
  if (decoded.length > MAX_EVENTS_PER_RECORD) return { kind: 'refused', reason: REASONS.tooManyEvents }
  const events: FoldEvent[] = []
  for (const data of decoded) {
    const event = readEvent(data)
    if (typeof event === 'number') return { kind: 'refused', reason: event }
    events.push(event)
  }
  return { kind: 'events', events }
}

function readEvent(event: EventData): FoldEvent | ReasonCode {
  const { collection, id, timestamp, type } = event
  if (collection.length > MAX_COLLECTION_NAME_BYTES || !COLLECTION_NAME.test(collection)) {
    return REASONS.badCollectionName
  }
  if (id === '' || utf8(id).length > MAX_INSTANCE_ID_BYTES) return REASONS.badId
  if (timestamp > MAX_TIMESTAMP) return REASONS.badTimestamp
  if (type === 'delete') return { ...event, document: undefined }
  if (type !== 'create' && type !== 'save') return REASONS.badType
  const document = readPatch(event)
  return document === undefined ? REASONS.badPatch : { ...event, document }
}

function readPatch({ patch, id }: EventData): Document | undefined {
  if (patch === undefined) return undefined
  try {
    const document = parseDocument(patch)
    const named = member(document, '_id')
    return named === undefined || named === id ? document : undefined
  } catch {
    return undefined
  }
}
