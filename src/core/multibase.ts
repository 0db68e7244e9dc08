/**
 * Multibase as go-multibase 0.0.3 reads it, which is laxer than the `multiformats` package: digits of base 16, 32 and 36
 * in either case, left-over digits and trailing bits dropped. Its error texts reach clients.
 */
import { base36 } from 'multiformats/bases/base36'
import { base58btc, base58flickr } from 'multiformats/bases/base58'
import { base32 } from 'multiformats/bases/base32'
import { utf8 } from './bytes.ts'
import { type ErrorCode, ThreadsError } from './errors.ts'

const BASE32 = digitTable('abcdefghijklmnopqrstuvwxyz234567', true)
const BASE32_HEX = digitTable('0123456789abcdefghijklmnopqrstuv', true)
const BASE64 = digitTable('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', false)
const BASE64_URL = digitTable('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', false)
const NO_BASE58_DIGIT = /[^1-9A-HJ-NP-Za-km-z]/u

/** Longest text read. Base 36 and 58 cost the square of the length; no key or id is longer. */
const MAX_DIGITS = 8192

class MalformedText extends Error {}

/** The bytes of a multibase text; failures throw `code` with the text go-multibase gives. */
export function decodeMultibase(text: string, code: ErrorCode): Uint8Array {
  if (text === '') throw new ThreadsError(code, 'cannot decode multibase for zero length string')
  if (text.length > MAX_DIGITS) throw new ThreadsError(code, `multibase text of more than ${MAX_DIGITS} characters`)
  try {
    return decodeDigits(text.charAt(0), text.slice(1))
  } catch (error) {
    if (error instanceof MalformedText) throw new ThreadsError(code, error.message)
    throw error
  }
}

/** Multibase base32, lower case, unpadded: the canonical text of ids and keys. */
export function encodeBase32(bytes: Uint8Array): string {
  return base32.encode(bytes)
}

/** Unpadded base64url without prefix; `undefined` if malformed. Trailing bits are dropped. */
export function decodeBase64Url(text: string): Uint8Array | undefined {
  try {
    return decodeBase64(text, BASE64_URL, false)
  } catch (error) {
    if (error instanceof MalformedText) return undefined
    throw error
  }
}

/** Whether every character is a base58btc digit. */
export function isBase58(text: string): boolean {
  return !NO_BASE58_DIGIT.test(text)
}

function decodeDigits(prefix: string, digits: string): Uint8Array {
  switch (prefix) {
    case '\0':
      return utf8(digits)
    case '0':
      return decodeBase2(digits)
    case 'f':
    case 'F':
      return decodeBase16(digits)
    case 'b':
    case 'B':
      return decodeBase32(digits, BASE32, false)
    case 'c':
    case 'C':
      return decodeBase32(digits, BASE32, true)
    case 'v':
    case 'V':
      return decodeBase32(digits, BASE32_HEX, false)
    case 't':
    case 'T':
      return decodeBase32(digits, BASE32_HEX, true)
    case 'k':
    case 'K':
      return decodeBase36(digits)
    case 'z':
      return base58btc.baseDecode(checkedBase58(digits))
    case 'Z':
      return base58flickr.baseDecode(checkedBase58(digits))
    case 'm':
      return decodeBase64(digits, BASE64, false)
    case 'M':
      return decodeBase64(digits, BASE64, true)
    case 'u':
      return decodeBase64(digits, BASE64_URL, false)
    case 'U':
      return decodeBase64(digits, BASE64_URL, true)
    default:
      throw new MalformedText('selected encoding not supported')
  }
}

function decodeBase2(digits: string): Uint8Array {
  if (!/^[01]*$/.test(digits)) throw new MalformedText('illegal base2 data')
  const padded = digits.padStart(Math.ceil(digits.length / 8) * 8, '0')
  return Uint8Array.from({ length: padded.length / 8 }, (_, i) => Number.parseInt(padded.slice(8 * i, 8 * i + 8), 2))
}

function decodeBase16(digits: string): Uint8Array {
  const illegal = /[^0-9a-fA-F]/u.exec(digits)?.[0]
  if (illegal !== undefined) {
    const point = illegal.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')
    throw new MalformedText(`encoding/hex: invalid byte: U+${point} '${illegal}'`)
  }
  if (digits.length % 2 !== 0) throw new MalformedText('encoding/hex: odd length hex string')
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16))
}

function decodeBase32(digits: string, table: Int8Array, padded: boolean): Uint8Array {
  if (padded && digits.length % 8 !== 0) throw illegalDigit('base32', digits.length - (digits.length % 8))
  const body = padded ? digits.replace(/={1,6}$/, '') : digits
  // A last group of 1, 3 or 6 digits cannot come from whole bytes; it is dropped as a whole.
  const rest = body.length % 8
  const used = rest === 1 || rest === 3 || rest === 6 ? body.length - rest : body.length
  return decodeGroups({ name: 'base32', digits: body, used, table, bitsPerDigit: 5 })
}

function decodeBase64(digits: string, table: Int8Array, padded: boolean): Uint8Array {
  if (padded && digits.length % 4 !== 0) throw illegalDigit('base64', digits.length - (digits.length % 4))
  const body = padded ? digits.replace(/={1,2}$/, '') : digits
  const bytes = decodeGroups({ name: 'base64', digits: body, used: body.length, table, bitsPerDigit: 6 })
  if (body.length % 4 === 1) throw illegalDigit('base64', body.length - 1)
  return bytes
}

interface DigitGroups {
  name: string
  digits: string
  /** How many of the digits become bytes; all are checked. */
  used: number
  table: Int8Array
  bitsPerDigit: number
}

function decodeGroups({ name, digits, used, table, bitsPerDigit }: DigitGroups): Uint8Array {
  const bytes = new Uint8Array(Math.floor((used * bitsPerDigit) / 8))
  let bits = 0
  let value = 0
  let length = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = table[digits.charCodeAt(i)] ?? -1
    if (digit < 0) throw illegalDigit(name, i)
    value = ((value << bitsPerDigit) | digit) & 0xffff
    bits += bitsPerDigit
    if (bits >= 8 && length < bytes.length) {
      bits -= 8
      bytes[length++] = value >>> bits
    }
  }
  return bytes
}

function decodeBase36(digits: string): Uint8Array {
  if (!/^[0-9a-zA-Z]*$/.test(digits)) throw new MalformedText('illegal base36 data')
  return base36.baseDecode(digits.toLowerCase())
}

function checkedBase58(digits: string): string {
  const illegal = NO_BASE58_DIGIT.exec(digits)?.[0]
  if (illegal !== undefined) throw new MalformedText(`Invalid base58 digit ('${illegal}')`)
  return digits
}

function illegalDigit(base: string, index: number): MalformedText {
  return new MalformedText(`illegal ${base} data at input byte ${index}`)
}

function digitTable(alphabet: string, eitherCase: boolean): Int8Array {
  const table = new Int8Array(128).fill(-1)
  for (let digit = 0; digit < alphabet.length; digit++) {
    table[alphabet.charCodeAt(digit)] = digit
    if (eitherCase) table[alphabet.toUpperCase().charCodeAt(digit)] = digit
  }
  return table
}
