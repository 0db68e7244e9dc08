/** The body of a db record: the operations of one transaction, in call order. */
import { base64pad } from 'multiformats/bases/base64'
import { CID } from 'multiformats/cid'
import { textOfUtf8 } from './bytes.ts'
import { decode } from './cbor.ts'
import { CborReader, unknownKey } from './cbor-reader.ts'
import { CborWriter } from './cbor-writer.ts'
import { ThreadsError } from './errors.ts'
import { type JsonValue, jsonText } from './json-text.ts'

const EVENT_TYPES = ['create', 'save', 'delete'] as const

/** What an event does. 'unknown' is read, for the record to be refused where it is judged, and never written. */
export type EventType = (typeof EVENT_TYPES)[number] | 'unknown'

export interface EventData {
  /** The instance. */
  readonly id: string
  readonly type: EventType
  /** JSON: the document of a create, the merge patch of a save; `undefined` for a delete. */
  readonly patch: Uint8Array | undefined
  /** Nanoseconds since 1970 by the writer's clock; 0 where early versions wrote something else than an integer. */
  readonly timestamp: bigint
  /** JSON of what stands in place of an integer timestamp. */
  readonly timestampText?: string
  readonly collection: string
  /** The instance once more, as the patch names it. Writers give `id`; only validators see it. */
  readonly instanceId: string
}

/** Canonical CBOR. Throws INVALID_ARGUMENT for an unknown type or a timestamp out of the range of 64 bits. */
export function encodeEvents(events: readonly EventData[]): Uint8Array {
  const writer = new CborWriter().map(1).text('patches').array(events.length)
  for (const { id, type, patch, timestamp, collection, instanceId } of events) {
    writer.map(4).text('iD').text(id).text('patch').map(3).text('type').integer(typeNumber(type)).text('jSONPatch')
    if (patch === undefined) writer.null()
    else writer.bytes(patch)
    writer.text('instanceID').text(instanceId)
    writer.text('timestamp').integer(timestamp).text('collectionName').text(collection)
  }
  return writer.finish()
}

function typeNumber(type: EventType): number {
  const number = EVENT_TYPES.findIndex((name) => name === type)
  if (number < 0) throw new ThreadsError('INVALID_ARGUMENT', 'unknown operation type')
  return number
}

/** Reads what any version of go-threads wrote. Throws INVALID_RECORD. */
export function decodeEvents(cbor: Uint8Array): EventData[] {
  const reader = new CborReader(cbor)
  const events: EventData[] = []
  reader.map((key) => {
    if (key !== 'patches') throw unknownKey(key)
    reader.array(() => events.push(readEvent(reader)))
  })
  return events
}

interface Patch {
  type: EventType
  json: Uint8Array | undefined
  instanceId: string
}

type Timestamp = Pick<EventData, 'timestamp' | 'timestampText'>

function readEvent(reader: CborReader): EventData {
  let id = ''
  let collection = ''
  let patch: Patch = { type: 'create', json: undefined, instanceId: '' }
  let timestamp: Timestamp = { timestamp: 0n, timestampText: 'null' }
  reader.map((key) => {
    if (key === 'iD') id = reader.text()
    else if (key === 'patch') patch = readPatch(reader)
    else if (key === 'timestamp') timestamp = readTimestamp(reader)
    else if (key === 'collectionName') collection = reader.text()
    else throw unknownKey(key)
  })
  return { id, type: patch.type, patch: patch.json, ...timestamp, collection, instanceId: patch.instanceId }
}

function readPatch(reader: CborReader): Patch {
  const patch: Patch = { type: 'create', json: undefined, instanceId: '' }
  reader.map((key) => {
    if (key === 'type') patch.type = EVENT_TYPES[Number(reader.integer())] ?? 'unknown'
    else if (key === 'jSONPatch') patch.json = reader.bytes()
    else if (key === 'instanceID') patch.instanceId = reader.text()
    else throw unknownKey(key)
  })
  return patch
}

function readTimestamp(reader: CborReader): Timestamp {
  if (reader.isInteger()) return { timestamp: reader.integer() }
  return { timestamp: 0n, timestampText: jsonOfCbor(reader.any()) }
}

/**
 * The JSON a validator sees of an event. Numbers of the patch are doubles, its keys are sorted; the timestamp is exact.
 * Throws INVALID_RECORD if the patch is no JSON.
 */
export function validatorView(event: EventData): string {
  const members = [
    `"type":"${event.type === 'unknown' ? '' : event.type}"`,
    `"instance_id":${jsonText(event.instanceId)}`,
  ]
  const patch = event.patch === undefined ? 'null' : patchText(event.patch)
  if (patch !== 'null') members.push(`"json_patch":${patch}`)
  const timestamp = event.timestampText ?? String(event.timestamp)
  const id = jsonText(event.id)
  const collection = jsonText(event.collection)
  return `{"timestamp":${timestamp},"_id":${id},"collection_name":${collection},"patch":{${members.join(',')}}}`
}

function patchText(patch: Uint8Array): string {
  try {
    return jsonText(JSON.parse(textOfUtf8(patch)))
  } catch (cause) {
    throw new ThreadsError('INVALID_RECORD', 'patch is not valid JSON', { cause })
  }
}

function jsonOfCbor(item: Uint8Array): string {
  try {
    return jsonText(jsonValueOf(decode(item)))
  } catch (error) {
    if (error instanceof ThreadsError) return 'null'
    throw error
  }
}

function jsonValueOf(value: unknown): JsonValue {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  if (typeof value === 'bigint') return Number(value)
  if (value instanceof Uint8Array) return base64pad.baseEncode(value)
  if (value instanceof CID) return { '/': value.toString() }
  if (Array.isArray(value)) return value.map(jsonValueOf)
  if (typeof value !== 'object' || value === null) return null
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, jsonValueOf(member)]))
}
