/** The two-field protobuf around libp2p keys, read with the checks and texts of the Go library (they reach clients). */
import { concatBytes, copyBytes } from './bytes.ts'
import { ThreadsError } from './errors.ts'
import { encodeVarint, readVarint } from './varint.ts'

const KEY_TYPES = ['rsa', 'ed25519', 'secp256k1', 'ecdsa'] as const
export type KeyType = (typeof KEY_TYPES)[number]

export interface KeyMessage {
  readonly type: KeyType
  readonly data: Uint8Array
}

/** Longest key message read; an RSA key of 8192 bits has about 4.7 KiB with its private half. */
const MAX_BYTES = 16384
const VARINT = 0
const FIXED64 = 1
const LENGTH_DELIMITED = 2
const END_GROUP = 4
const FIXED32 = 5

interface Field {
  readonly number: bigint
  readonly wireType: number
  readonly value: bigint
  /** Empty unless length-delimited. */
  readonly data: Uint8Array
  readonly end: number
}

/** Fields may come in any order and unknown ones are skipped. Throws INVALID_KEY. */
export function decodeKeyMessage(name: 'PublicKey' | 'PrivateKey', bytes: Uint8Array): KeyMessage {
  if (bytes.length > MAX_BYTES) throw invalid(`key of more than ${MAX_BYTES} bytes`)
  let type: bigint | undefined
  let data: Uint8Array | undefined
  for (let offset = 0; offset < bytes.length; ) {
    const field = readField(name, bytes, offset)
    if (field.number === 1n) type = expectWireType(field, VARINT, 'Type').value
    if (field.number === 2n) data = expectWireType(field, LENGTH_DELIMITED, 'Data').data
    offset = field.end
  }
  if (type === undefined) throw invalid('proto: required field "Type" not set')
  if (data === undefined) throw invalid('proto: required field "Data" not set')
  const known = KEY_TYPES[Number(type)]
  if (known === undefined) throw invalid('invalid or unsupported key type')
  return { type: known, data }
}

export function encodeKeyMessage({ type, data }: KeyMessage): Uint8Array {
  const head = Uint8Array.of(0x08, KEY_TYPES.indexOf(type), 0x12)
  return concatBytes(head, encodeVarint(data.length), data)
}

function readField(name: string, bytes: Uint8Array, offset: number): Field {
  const tag = fieldVarint(bytes, offset)
  const number = tag.value >> 3n
  const wireType = Number(tag.value & 7n)
  if (wireType === END_GROUP) throw invalid(`proto: ${name}: wiretype end group for non-group`)
  if (number === 0n) throw invalid(`proto: ${name}: illegal tag 0 (wire type ${wireType})`)
  const field = { number, wireType, value: 0n, data: bytes.subarray(0, 0) }
  switch (wireType) {
    case VARINT:
      return { ...field, ...fieldVarint(bytes, tag.end) }
    case FIXED64:
      return { ...field, end: inside(bytes, tag.end + 8) }
    case FIXED32:
      return { ...field, end: inside(bytes, tag.end + 4) }
    case LENGTH_DELIMITED: {
      const length = fieldVarint(bytes, tag.end)
      const end = inside(bytes, length.end + Number(length.value))
      return { ...field, data: copyBytes(bytes, length.end, end), end }
    }
    default:
      throw invalid(`proto: illegal wireType ${wireType}`)
  }
}

function expectWireType(field: Field, wireType: number, name: string): Field {
  if (field.wireType !== wireType) throw invalid(`proto: wrong wireType = ${field.wireType} for field ${name}`)
  return field
}

function fieldVarint(bytes: Uint8Array, offset: number): { value: bigint; end: number } {
  const varint = readVarint(bytes, offset)
  if (varint === 'short') throw invalid('unexpected EOF')
  if (varint === 'long') throw invalid('proto: integer overflow')
  return varint
}

function inside(bytes: Uint8Array, end: number): number {
  if (end > bytes.length) throw invalid('unexpected EOF')
  return end
}

function invalid(message: string): ThreadsError {
  return new ThreadsError('INVALID_KEY', message)
}
