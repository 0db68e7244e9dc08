import { utf8 } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import { MAX_INSTANCE_ID_BYTES } from './fold/constants.ts'
import { type Document, isDocument, type JsonValue, member, parseDocument } from './json.ts'

/** Longest part of an input that an error repeats. */
const SHOWN = 40

/**
 * A document as a client sent it. Throws INVALID_INSTANCE; what is not an object, or has an `_id` that is no string,
 * gets the text of go-threads, which clients may match.
 */
export function parseInstance(bytes: Uint8Array): Document {
  const value = parse(bytes)
  if (!isDocument(value)) {
    throw invalid(`cannot unmarshal ${kindOf(value)} into Go value of type struct { ID *string "json:\\"_id\\"" }`)
  }
  const id = member(value, '_id')
  if (id !== undefined && id !== null && typeof id !== 'string') {
    throw invalid(`cannot unmarshal ${kindOf(id)} into Go struct field ._id of type string`)
  }
  if (typeof id === 'string' && utf8(id).length > MAX_INSTANCE_ID_BYTES) {
    throw new ThreadsError('INVALID_INSTANCE', `invalid instance: _id has more than ${MAX_INSTANCE_ID_BYTES} bytes`)
  }
  return parseDocument(bytes)
}

function parse(bytes: Uint8Array): JsonValue {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new ThreadsError('INVALID_INSTANCE', 'unmarshaling json instance: the text is not UTF-8', { cause })
  }
  if (text === '')
    throw new ThreadsError('INVALID_INSTANCE', 'unmarshaling json instance: unexpected end of JSON input')
  try {
    return JSON.parse(text) as JsonValue
  } catch (cause) {
    const start = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text
    throw new ThreadsError('INVALID_INSTANCE', `unmarshaling json instance: invalid JSON: ${start}`, { cause })
  }
}

function kindOf(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

function invalid(text: string): ThreadsError {
  return new ThreadsError('INVALID_INSTANCE', `unmarshaling json instance: json: ${text}`)
}
