import { utf8 } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import { MAX_INSTANCE_ID_BYTES } from './fold/constants.ts'
import { checkDocument, type Document, isDocument, type JsonValue, MAX_DEPTH, member } from './json.ts'
import { readJson } from './schema/json-syntax.ts'

/**
 * A document as a client sent it. Throws INVALID_INSTANCE; what is not JSON or not an object gets the text of go-threads,
 * which clients may match.
 */
export function parseInstance(bytes: Uint8Array): Document {
  const value = parse(bytes)
  if (!isDocument(value)) {
    throw invalid(`json: cannot unmarshal ${kindOf(value)} into Go value of type ${GO_INSTANCE}`)
  }
  checkDocument(value)
  return value
}

/** The `_id` of a document, empty if it has none. Throws INVALID_INSTANCE if it is no string or too long. */
export function instanceId(document: Document): string {
  const id = member(document, '_id') ?? ''
  if (typeof id !== 'string') {
    throw invalid(`json: cannot unmarshal ${kindOf(id)} into Go struct field ._id of type string`)
  }
  if (utf8(id).length > MAX_INSTANCE_ID_BYTES) {
    throw new ThreadsError('INVALID_INSTANCE', `invalid instance: _id has more than ${MAX_INSTANCE_ID_BYTES} bytes`)
  }
  return id
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const GO_INSTANCE = 'struct { ID *string "json:\\"_id\\"" }'

function parse(bytes: Uint8Array): JsonValue {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch (cause) {
    throw invalid('the text is not UTF-8', cause)
  }
  try {
    return JSON.parse(text) as JsonValue
  } catch (cause) {
    throw invalid(syntaxProblem(text), cause)
  }
}

/** What is wrong with a text that is no JSON, in the words of Go. */
function syntaxProblem(text: string): string {
  try {
    readJson(text, { depth: MAX_DEPTH, nodes: Number.POSITIVE_INFINITY })
    return 'invalid JSON'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function kindOf(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

function invalid(text: string, cause?: unknown): ThreadsError {
  return new ThreadsError('INVALID_INSTANCE', `unmarshaling json instance: ${text}`, { cause })
}
