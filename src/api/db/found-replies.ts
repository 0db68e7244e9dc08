/**
 * Replies that are stored documents, field 1, and little else. The documents are copied once, into a buffer of the size
 * of the reply: the generated encoder begins with a small one and copies all it has whenever that is full.
 */
import { FindByIDReply, FindReply } from '../gen/threads.ts'

export const foundReply = {
  encode: ({ instances, ...rest }: FindReply): Encoded =>
    encoded(instances, FindReply.encode({ ...rest, instances: [] }).finish()),
}

export const foundByIdReply = {
  encode: (reply: FindByIDReply): Encoded =>
    // Of a field that is not repeated, no bytes are left out.
    encoded(
      reply.instance.length === 0 ? [] : [reply.instance],
      FindByIDReply.encode({ ...reply, instance: NO_DOCUMENT }).finish(),
    ),
}

interface Encoded {
  finish(): Uint8Array
}

/** Field 1, of bytes. */
const TAG = 0x0a
const NO_DOCUMENT = new Uint8Array(0)

function encoded(documents: readonly Uint8Array[], rest: Uint8Array): Encoded {
  let size = rest.length
  for (const { length } of documents) size += 1 + varintBytes(length) + length
  const reply = Buffer.allocUnsafe(size)
  let offset = 0
  for (const document of documents) {
    reply[offset++] = TAG
    let { length } = document
    for (; length > 0x7f; length >>>= 7) reply[offset++] = (length & 0x7f) | 0x80
    reply[offset++] = length
    reply.set(document, offset)
    offset += document.length
  }
  reply.set(rest, offset)
  return { finish: () => reply }
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++
  return bytes
}
