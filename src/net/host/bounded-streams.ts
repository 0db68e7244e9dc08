/**
 * Streams with limits. By itself gossipsub takes in all that a peer sends, however long it takes to judge it, and keeps
 * all that a peer does not take.
 */
import type { GossipSubComponents } from '@libp2p/gossipsub'
import type { Connection, Stream } from '@libp2p/interface'
import { streamToDuplex } from './duplex.ts'

/** Bytes that wait to be sent to one peer, and to all; what comes on top is dropped. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024
const MAX_HOST_UNSENT_BYTES = 64 * 1024 * 1024

type Registrar = GossipSubComponents['registrar']

/** The registrar as gossipsub gets to see it: streams opened through it have limits. */
export function boundStreams(registrar: Registrar): Registrar {
  const written = new Set<Stream>()
  const dialling = (connection: Connection): Connection =>
    withMembers(connection, {
      newStream: async (protocols, options) => writable(await connection.newStream(protocols, options), written),
    })
  return withMembers(registrar, {
    handle: (protocol, accept, options) =>
      registrar.handle(protocol, (stream, connection) => accept(readable(stream), dialling(connection)), options),
    register: (protocol, topology, options) =>
      registrar.register(
        protocol,
        { ...topology, onConnect: (peer, connection) => topology.onConnect?.(peer, dialling(connection)) },
        options,
      ),
  })
}

/** A stream that is read no faster than its reader asks for more; the peer waits meanwhile. */
function readable(stream: Stream): Stream {
  const chunks = streamToDuplex(stream)
  // Errors reach the reader too, once it reads.
  chunks.on('error', () => {})
  return withMembers(stream, {
    [Symbol.asyncIterator]: () => plainBytes(chunks),
    // Without events it is read as what it is then: an iterable.
    addEventListener: undefined,
  })
}

/** Without Buffers: what takes parts of them does not expect that their slice() shares memory. */
async function* plainBytes(chunks: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  for await (const { buffer, byteOffset, byteLength } of chunks) yield new Uint8Array(buffer, byteOffset, byteLength)
}

/** A stream that refuses what slow peers do not take. A libp2p stream keeps it, or ends. `written`: all such streams. */
function writable(stream: Stream, written: Set<Stream>): Stream {
  written.add(stream)
  stream.addEventListener('close', () => written.delete(stream), { once: true })
  return withMembers(stream, {
    send: (data) => {
      const unsent = stream.writeBufferLength
      if (unsent + data.byteLength > MAX_UNSENT_BYTES) throw new Error('the peer is too slow')
      // Who has taken all is not made to suffer for the others.
      if (unsent > 0 && unsentOf(written) + data.byteLength > MAX_HOST_UNSENT_BYTES) {
        throw new Error('the peer is one of many that are too slow')
      }
      return stream.send(data)
    },
  })
}

function unsentOf(streams: Iterable<Stream>): number {
  let bytes = 0
  for (const { writeBufferLength } of streams) bytes += writeBufferLength
  return bytes
}

/** An object that differs from `target` in some members. */
function withMembers<T extends object>(target: T, members: { readonly [K in keyof T]?: T[K] | undefined }): T {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name)
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
