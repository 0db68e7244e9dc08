import { addressToBytes } from '../../core/address.ts'
import { EMPTY_BYTES } from '../../core/bytes.ts'
import { peerIdToBytes } from '../../core/peer-id.ts'
import { threadIdToBytes } from '../../core/thread-id.ts'
import { threadKeyToBytes } from '../../core/thread-key.ts'
import { encodeVarint } from '../../core/varint.ts'
import type { LogInfo, ThreadInfo } from '../../net/index.ts'
import type * as pb from '../gen/threadsnet.ts'

const COUNTER_BYTES = 8

export function threadInfoReply({ id, key, logs, addresses }: ThreadInfo): pb.ThreadInfoReply {
  return {
    threadID: threadIdToBytes(id),
    threadKey: threadKeyToBytes(key),
    logs: logs.map(logInfo),
    addrs: addresses.map(addressToBytes),
  }
}

function logInfo({ id, publicKey, privateKey, addresses, head }: LogInfo): pb.LogInfo {
  return {
    ID: peerIdToBytes(id),
    pubKey: publicKey.encoded,
    privKey: privateKey?.encoded ?? EMPTY_BYTES,
    addrs: addresses.map(addressToBytes),
    head: head.cid?.bytes ?? EMPTY_BYTES,
    counter: counterBytes(head.counter),
  }
}

/** A zigzag varint, padded with zeros: 1 is `02 00 00 00 00 00 00 00`. */
function counterBytes(counter: number): Uint8Array {
  const bytes = new Uint8Array(COUNTER_BYTES)
  bytes.set(encodeVarint(2 * counter))
  return bytes
}
