import { utf8 } from '../../core/bytes.ts'
import { type EventData, decodeEvents, encodeEvents } from '../../core/events.ts'
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

/** What bodies made here say, as long as they are in use. */
const written = new WeakMap<Uint8Array, Content>()

/** The body of a record written here. `readContent` need not read it again: most of them are folded at once. */
export function writeContent(events: readonly FoldEvent[]): Uint8Array {
  const body = encodeEvents(events)
  written.set(
    body,
    contentOf(events, ({ document }) => document),
  )
  return body
}

/**
 * Reads the body of a record; `undefined` stands for one that the thread's read key does not open. A record is well
 * formed or not on every host alike: this depends on nothing but the bytes. Never throws.
 */
export function readContent(body: Uint8Array | undefined): Content {
  if (body === undefined) return { kind: 'refused', reason: REASONS.unreadable }
  const known = written.get(body)
  if (known !== undefined) return known
  try {
    return contentOf(decodeEvents(body), readPatch)
  } catch {
    return { kind: 'refused', reason: REASONS.undecodable }
  }
}

/** `documentOf` tells the patch of a create or save as a value; `undefined` if it is none. */
function contentOf<Event extends EventData>(
  events: readonly Event[],
  documentOf: (event: Event) => Document | undefined,
): Content {
  if (events.length > MAX_EVENTS_PER_RECORD) return { kind: 'refused', reason: REASONS.tooManyEvents }
  const read: FoldEvent[] = []
  for (const event of events) {
    const each = readEvent(event, documentOf)
    if (typeof each === 'number') return { kind: 'refused', reason: each }
    read.push(each)
  }
  return { kind: 'events', events: read }
}

function readEvent<Event extends EventData>(
  event: Event,
  documentOf: (event: Event) => Document | undefined,
): FoldEvent | ReasonCode {
  const { collection, id, timestamp, type } = event
  if (collection.length > MAX_COLLECTION_NAME_BYTES || !COLLECTION_NAME.test(collection)) {
    return REASONS.badCollectionName
  }
  if (id === '' || utf8(id).length > MAX_INSTANCE_ID_BYTES) return REASONS.badId
  if (timestamp > MAX_TIMESTAMP) return REASONS.badTimestamp
  if (type === 'delete') return { ...event, document: undefined }
  if (type !== 'create' && type !== 'save') return REASONS.badType
  const document = documentOf(event)
  if (document === undefined || !namesInstance(document, id)) return REASONS.badPatch
  return { ...event, document }
}

function namesInstance(patch: Document, id: string): boolean {
  const named = member(patch, '_id')
  return named === undefined || named === id
}

function readPatch({ patch }: EventData): Document | undefined {
  if (patch === undefined) return undefined
  try {
    return parseDocument(patch)
  } catch {
    return undefined
  }
}
