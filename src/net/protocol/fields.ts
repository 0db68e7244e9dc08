/**
 * Custom encodings of fields. go-threads crashes on messages that leave out a field it needs, so presence matters: an
 * undefined head is written as a field of length 0, and a field that was left out is refused where it is needed.
 */
import type { CID } from 'multiformats/cid'
import { type Address, addressFromBytes, addressToBytes } from '../../core/address.ts'
import { EMPTY_BYTES } from '../../core/bytes.ts'
import { cidFromBytes } from '../../core/cbor.ts'
import { ThreadsError } from '../../core/errors.ts'
import { decodePublicKey } from '../../core/keys.ts'
import { type PeerId, peerIdFromBytes, peerIdToBytes } from '../../core/peer-id.ts'
import type { RecordBlocks } from '../../core/record.ts'
import { SYMMETRIC_KEY_BYTES, type SymmetricKey } from '../../core/symmetric.ts'
import { type ThreadId, threadIdFromBytes } from '../../core/thread-id.ts'
import type { PeerLog } from '../replica.ts'
import type { Log, Log_Record } from './pb/net.ts'

/** Of the longest keys in use, RSA of 4,096 bits. */
const MAX_SIGNATURE_BYTES = 512

/** Throws BAD_MESSAGE for a field that was left out. */
export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new ThreadsError('BAD_MESSAGE', `${name} is missing`)
  return value
}

export function readThreadId(bytes: Uint8Array | undefined): ThreadId {
  return threadIdFromBytes(required(bytes, 'threadID'))
}

export function readLogId(bytes: Uint8Array | undefined): PeerId {
  return peerIdFromBytes(required(bytes, 'logID'))
}

export function readKey(bytes: Uint8Array | undefined): SymmetricKey | undefined {
  if (bytes === undefined) return undefined
  if (bytes.length !== SYMMETRIC_KEY_BYTES) throw new ThreadsError('INVALID_KEY', 'invalid key')
  return bytes.slice()
}

/** Of length 0 for no CID. */
export function readCid(bytes: Uint8Array): CID | undefined {
  return bytes.length === 0 ? undefined : cidFromBytes(bytes.slice())
}

export function writeCid(cid: CID | undefined): Uint8Array {
  return cid?.bytes ?? EMPTY_BYTES
}

/** A number of records, absent for 0. */
export function readCounter(counter: bigint | undefined): number {
  const number = Number(counter ?? 0n)
  if (number < 0 || !Number.isSafeInteger(number))
    throw new ThreadsError('BAD_MESSAGE', `counter ${counter} is invalid`)
  return number
}

export function writeCounter(counter: number): bigint | undefined {
  return counter === 0 ? undefined : BigInt(counter)
}

/** Addresses of one log that are looked at: no host keeps more. */
const MAX_ADDRESSES = 1_000

/** Addresses that cannot be read are left out: newer peers may have newer protocols. */
function readAddresses(list: readonly Uint8Array[] = []): Address[] {
  const addresses: Address[] = []
  for (const bytes of list.slice(0, MAX_ADDRESSES)) {
    try {
      addresses.push(addressFromBytes(bytes))
    } catch (error) {
      if (!(error instanceof ThreadsError)) throw error
    }
  }
  return addresses
}

/** Reads a log without asking for its key and head, which the one who needs them does. */
export function readLog(log: Log): PeerLog {
  return {
    id: peerIdFromBytes(required(log.ID, 'log ID')),
    publicKey: log.pubKey === undefined ? undefined : decodePublicKey(log.pubKey),
    addresses: readAddresses(log.addrs),
    head: readCid(log.head ?? EMPTY_BYTES),
    counter: readCounter(log.counter),
    ...readAttestation(log.attestation),
  }
}

/** Copied: a part of a message would keep all of it. */
export function readAttestation(attestation: Uint8Array | undefined): { readonly attestation?: Uint8Array } {
  if (attestation === undefined) return {}
  if (attestation.length > MAX_SIGNATURE_BYTES) throw new ThreadsError('BAD_MESSAGE', 'the attestation is too long')
  return { attestation: attestation.slice() }
}

export function writeLog(log: PeerLog): Log {
  return {
    ID: peerIdToBytes(log.id),
    pubKey: log.publicKey?.encoded,
    addrs: log.addresses.map(addressToBytes),
    head: writeCid(log.head),
    counter: writeCounter(log.counter),
    attestation: log.attestation,
  }
}

/** A block that was left out is read as an empty one; the checks of records refuse it. */
export function readRecord(record: Log_Record): RecordBlocks {
  return {
    recordNode: record.recordNode ?? EMPTY_BYTES,
    eventNode: record.eventNode ?? EMPTY_BYTES,
    headerNode: record.headerNode ?? EMPTY_BYTES,
    bodyNode: record.bodyNode ?? EMPTY_BYTES,
  }
}

export function writeRecord(blocks: RecordBlocks): Log_Record {
  const { recordNode, eventNode, headerNode, bodyNode } = blocks
  return { recordNode, eventNode, headerNode, bodyNode }
}
