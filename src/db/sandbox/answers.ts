import { MAX_MESSAGE_CHARS, MAX_SHOWN_CHARS, STACK_BYTES } from './limits.ts'

/**
 * How a realm says what a function answered: one word and, where there is one, a text after a space.
 *
 * - a validator: `accepted`, `denied` (no value), `denied-with VALUE`, the value as Go prints it
 * - a filter: `hidden`, `unchanged`, `shown JSON`, `unencodable REASON`
 * - both: `threw TEXT`, `out-of-stack ALLOWED`
 *
 * All of this runs in the realm, so that the getters and proxies of a hostile result spend the steps of its own call.
 */
export const ANSWERS: string = String.raw`
const { parse, stringify } = JSON
const { isArray } = Array
const { isSafeInteger } = Number
const { is, keys } = Object
// Under these names a call may put others into the global scope.
const SystemBoolean = Boolean
const SystemError = Error
const SystemInternalError = InternalError
const SystemNumber = Number
const SystemString = String
const isFiniteNumber = Number.isFinite
const booleanOf = Boolean.prototype.valueOf
const numberOf = Number.prototype.valueOf
const timeOf = Date.prototype.getTime

function tryApply(method, value) {
  try { return apply(method, value, []) } catch { return undefined }
}

// Boolean and Number objects count as their values.
function unbox(value) {
  if (value instanceof SystemBoolean) return tryApply(booleanOf, value) ?? value
  if (value instanceof SystemNumber) return tryApply(numberOf, value) ?? value
  return value
}

// Whole characters, and none that ends a text where it is handed over.
function cut(text) {
  const start = text.length > ${MAX_MESSAGE_CHARS} ? text.slice(0, ${MAX_MESSAGE_CHARS}) + '...' : text
  return start.toWellFormed().replaceAll('\0', '\ufffd')
}

// ISO 8601 without zone and without zeros at the end of the fraction; undefined for what is not a date.
function dateText(value) {
  const time = value instanceof SystemDate ? tryApply(timeOf, value) : undefined
  if (time === undefined) return undefined
  return is(time, NaN) ? 'Invalid Date' : new SystemDate(time).toISOString().replace(/\.?0*Z$/, '')
}

function printNumber(value) {
  if (is(value, -0)) return '-0'
  if (isSafeInteger(value) || value !== value) return SystemString(value)
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  const [digits, exponent] = value.toExponential().split('e')
  if (exponent >= -4 && exponent < 6) return SystemString(value)
  return digits + 'e' + exponent[0] + exponent.slice(1).padStart(2, '0')
}

let printed = 0
function print(value, depth) {
  if (value === undefined || value === null) return '<nil>'
  if (typeof value === 'number') return printNumber(value)
  if (typeof value === 'function') return 'func'
  if (typeof value !== 'object') return SystemString(value)
  const plain = unbox(value)
  if (plain !== value) return print(plain, depth)
  const date = dateText(value)
  if (date !== undefined) return date.replace('T', ' ') + ' +0000 UTC'
  if (++printed > 100 || depth > 10) return '...'
  if (isArray(value)) {
    const items = []
    for (let index = 0; index < value.length && index < 100; index++) items.push(print(value[index], depth + 1))
    return '[' + items.join(' ') + ']'
  }
  if (value instanceof SystemString) return 'map[]'
  const names = keys(value).sort().slice(0, 100)
  return 'map[' + names.map((name) => name + ':' + print(value[name], depth + 1)).join(' ') + ']'
}

function answerValidator(result) {
  const value = unbox(result)
  if (value === true) return 'accepted'
  if (value === false || value === undefined || value === null) return 'denied'
  printed = 0
  return 'denied-with ' + cut(print(value, 0))
}

class Unencodable {
  constructor(reason) { this.reason = reason }
}

let shown = 0
function keep(text) {
  shown += text.length
  if (shown > ${MAX_SHOWN_CHARS}) throw new Unencodable('more than ${MAX_SHOWN_CHARS} characters')
  return text
}

function encode(value, depth) {
  if (typeof value === 'string') return keep(stringify(value))
  if (value === undefined || value === null) return keep('null')
  if (typeof value === 'boolean') return keep(SystemString(value))
  if (typeof value === 'number') {
    if (!isFiniteNumber(value)) throw new Unencodable('unsupported value: ' + printNumber(value))
    return keep(is(value, -0) ? '-0' : SystemString(value))
  }
  if (typeof value !== 'object') throw new Unencodable('unsupported type: ' + typeof value)
  if (depth > 128) throw new Unencodable('unsupported value: cyclic, or deeper than 128 levels')
  const plain = unbox(value)
  if (plain !== value) return encode(plain, depth)
  const date = dateText(value)
  if (date !== undefined) return keep(stringify(date + 'Z'))
  if (isArray(value)) {
    const items = []
    for (let index = 0; index < value.length; index++) items.push(encode(value[index], depth + 1))
    return keep('[') + items.join(',') + ']'
  }
  if (value instanceof SystemString) return keep('{}')
  const members = keys(value).sort().map((name) => encode(name, depth) + ':' + encode(value[name], depth + 1))
  return keep('{') + members.join(',') + '}'
}

function answerFilter(result, given, givenText) {
  if (result === undefined || result === null) return 'hidden'
  if (result === given && stringify(result) === givenText) return 'unchanged'
  shown = 0
  try {
    return 'shown ' + encode(result, 0)
  } catch (error) {
    if (error instanceof Unencodable) return 'unencodable ' + error.reason
    throw error
  }
}

// The exception as text, and where it was made, if it knows.
function answerError(error) {
  try {
    if (error instanceof SystemInternalError && error.message === 'stack overflow') {
      return 'out-of-stack ${STACK_BYTES / 1024} KiB'
    }
    const text = cut(SystemString(error))
    const frame = error instanceof SystemError ? SystemString(error.stack).split('\n', 1)[0].trim() : ''
    return 'threw ' + (frame === '' ? text : text + ' ' + cut(frame))
  } catch {
    return 'threw an exception without a text'
  }
}
`
