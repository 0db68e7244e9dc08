/**
 * Multiaddrs as go-multiaddr 0.3.3 reads and writes them, with the protocol `thread`. A Go peer rejects a whole message
 * that holds a code it does not know, so newer protocols are refused here. Texts and bytes are taken apart here, because
 * the package does not check lengths and words its errors otherwise; values are left to it.
 */
import { registry, V } from '@multiformats/multiaddr'
import { BoundedCache } from './bounded-cache.ts'
import { bytesKey, concatBytes, copyBytes, textOfUtf8, utf8 } from './bytes.ts'
import { ThreadsError } from './errors.ts'
import { type PeerId, parsePeerId, peerIdFromBytes, peerIdToBytes } from './peer-id.ts'
import { parseThreadId, type ThreadId, threadIdFromBytes, threadIdToBytes } from './thread-id.ts'
import { encodeVarint, readVarint } from './varint.ts'

declare const brand: unique symbol

/** The canonical text of a multiaddr. */
export type Address = string & { readonly [brand]: 'Address' }

const THREAD_CODE = 406
const P2P_CODE = 421
/** Longest address read, in bytes and in characters. Thread addresses in use have about 100 bytes. */
const MAX_LENGTH = 1024

/** Known to go-multiaddr 0.3.3 and written alike by both; `unix` and the garlic protocols are left out. */
const PROTOCOLS: ReadonlySet<string> = new Set(
  (
    'ip4 ip6 ip6zone dns dns4 dns6 dnsaddr tcp udp dccp sctp udt utp quic http https ws wss onion onion3 ' +
    'p2p ipfs p2p-circuit p2p-webrtc-direct thread'
  ).split(' '),
)

interface Component {
  readonly code: number
  readonly name: string
  /** Absent where the protocol has none. */
  readonly value?: string
  readonly bytes: Uint8Array
}

type Protocol = ReturnType<typeof registry.getProtocol>

registry.addProtocol({
  code: THREAD_CODE,
  name: 'thread',
  size: V,
  valueToBytes: (value) => new Uint8Array(threadIdToBytes(parseThreadId(value))),
  bytesToValue: threadIdFromBytes,
})

const PROTOCOL_OF_CODE: ReadonlyMap<number, Protocol> = new Map(
  Array.from(PROTOCOLS, (name) => registry.getProtocol(name)).map((protocol) => [protocol.code, protocol]),
)

const componentsOf = new BoundedCache<string, readonly Component[]>(4096)
const textOf = new BoundedCache<string, Address>(4096)

/** Throws INVALID_ADDRESS. */
export function parseAddress(text: string): Address {
  if (text.length > MAX_LENGTH) throw invalid(`multiaddr of more than ${MAX_LENGTH} characters`)
  if (componentsOf.get(text) !== undefined) return text as Address
  const trimmed = text.replace(/\/+$/, '')
  try {
    return addressOf(componentsOfText(trimmed))
  } catch (error) {
    if (!(error instanceof ThreadsError)) throw error
    throw invalid(`failed to parse multiaddr "${trimmed}": ${error.message}`, error)
  }
}

/** Throws INVALID_ADDRESS. */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length > MAX_LENGTH) throw invalid(`multiaddr of more than ${MAX_LENGTH} bytes`)
  const key = bytesKey(bytes)
  let address = textOf.get(key)
  if (address === undefined) {
    address = addressOf(componentsOfBytes(bytes))
    textOf.set(key, address)
  }
  return address
}

export function addressToBytes(address: Address): Uint8Array {
  return concatBytes(...components(address).map(({ bytes }) => bytes))
}

/** The first thread named. Throws INVALID_ADDRESS if there is none. */
export function threadIdOfAddress(address: Address): ThreadId {
  const thread = components(address).find(({ code }) => code === THREAD_CODE)
  if (thread?.value === undefined) throw invalid('protocol not found in multiaddr')
  return parseThreadId(thread.value)
}

/** The last peer named: behind a relay that is the peer itself. */
export function peerIdOfAddress(address: Address): PeerId | undefined {
  const peer = components(address).findLast(({ code }) => code === P2P_CODE)
  return peer?.value === undefined ? undefined : parsePeerId(peer.value)
}

/** What to dial: the part before the last peer, without the thread; `undefined` if there is none. */
export function dialPartOf(address: Address): Address | undefined {
  const parts = components(address).filter(({ code }) => code !== THREAD_CODE)
  const peer = parts.findLastIndex(({ code }) => code === P2P_CODE)
  const transport = peer < 0 ? parts : parts.slice(0, peer)
  return transport.length === 0 ? undefined : addressOf(transport)
}

/** `/p2p/<peer>`: for a peer whose transport addresses are found elsewhere. */
export function peerAddress(peer: PeerId): Address {
  return parseAddress(`/p2p/${peer}`)
}

/** `<transport>/p2p/<peer>/thread/<thread>`: what is handed to others to join a thread. */
export function threadAddress(transport: Address, peer: PeerId, thread: ThreadId): Address {
  return parseAddress(`${transport}/p2p/${peer}/thread/${thread}`)
}

function components(address: Address): readonly Component[] {
  let parts = componentsOf.get(address)
  if (parts === undefined) {
    parts = componentsOfText(address)
    componentsOf.set(address, parts)
  }
  return parts
}

function addressOf(parts: readonly Component[]): Address {
  const text = parts.map(({ name, value }) => (value === undefined ? `/${name}` : `/${name}/${value}`)).join('')
  componentsOf.set(text, parts)
  return text as Address
}

function componentsOfText(text: string): Component[] {
  if (text === '') throw invalid('empty multiaddr')
  const words = text.split('/')
  if (words[0] !== '') throw invalid('must begin with /')
  const parts: Component[] = []
  for (let i = 1; i < words.length; i++) {
    const name = words[i] ?? ''
    if (!PROTOCOLS.has(name)) throw invalid(`unknown protocol ${name}`)
    const protocol = registry.getProtocol(name)
    if (!hasValue(protocol)) {
      parts.push(component(protocol))
      continue
    }
    const value = words[++i]
    if (value === undefined) throw invalid('unexpected end of multiaddr')
    try {
      parts.push(component(protocol, valueBytes(protocol, value)))
    } catch (error) {
      const reason = error instanceof Error ? error.message : ''
      throw invalid(`invalid value "${value}" for protocol ${protocol.name}: ${reason}`, error)
    }
  }
  return parts
}

function componentsOfBytes(bytes: Uint8Array): Component[] {
  if (bytes.length === 0) throw invalid('empty multiaddr')
  const parts: Component[] = []
  for (let offset = 0; offset < bytes.length; ) {
    const code = addressVarint(bytes, offset)
    const protocol = PROTOCOL_OF_CODE.get(Number(code.value))
    if (protocol === undefined) throw invalid(`no protocol with code ${code.value}`)
    let start = code.end
    let size = (protocol.size ?? 0) / 8
    if (protocol.size === V) {
      const length = addressVarint(bytes, start)
      start = length.end
      size = Number(length.value)
    }
    if (size > bytes.length - start) throw invalid(`invalid value for size ${bytes.length - start}`)
    offset = start + size
    parts.push(hasValue(protocol) ? component(protocol, copyBytes(bytes, start, offset)) : component(protocol))
  }
  return parts
}

function addressVarint(bytes: Uint8Array, offset: number): { value: bigint; end: number } {
  const varint = readVarint(bytes, offset)
  if (varint === 'short' || varint === 'long') throw invalid('varints malformed, could not reach the end')
  return varint
}

function hasValue(protocol: Protocol): boolean {
  return protocol.size !== undefined && protocol.size !== 0
}

function component(protocol: Protocol, value?: Uint8Array): Component {
  const { code, name } = protocol
  const head = encodeVarint(code)
  if (value === undefined) return { code, name, bytes: head }
  const bytes = protocol.size === V ? concatBytes(head, encodeVarint(value.length), value) : concatBytes(head, value)
  return { code, name, value: valueText(protocol, value), bytes }
}

function valueText(protocol: Protocol, bytes: Uint8Array): string {
  try {
    if (protocol.name === 'p2p') return peerIdFromBytes(bytes)
    if (protocol.bytesToValue !== undefined) return protocol.bytesToValue(bytes)
    const text = textOfUtf8(bytes)
    if (text === '' || text.includes('/')) throw invalid(`invalid value for protocol ${protocol.name}`)
    return text
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : `invalid value for protocol ${protocol.name}`, error)
  }
}

function valueBytes(protocol: Protocol, text: string): Uint8Array {
  switch (protocol.name) {
    case 'thread':
      return idBytes(text, 'thread', () => threadIdToBytes(parseThreadId(text)))
    case 'p2p':
      return idBytes(text, 'p2p', () => peerIdToBytes(parsePeerId(text)))
    case 'tcp':
    case 'udp':
    case 'dccp':
    case 'sctp':
      return portBytes(text)
  }
  try {
    const value = protocol.stringToValue?.(text) ?? text
    protocol.validate?.(value)
    return protocol.valueToBytes?.(value) ?? utf8(value)
  } catch (cause) {
    throw invalid(`failed to parse ${protocol.name} addr: ${text}`, cause)
  }
}

function idBytes(text: string, kind: string, read: () => Uint8Array): Uint8Array {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ThreadsError)) throw error
    const reason = error.cause instanceof ThreadsError ? error.cause.message : error.message
    throw invalid(`failed to parse ${kind} addr: ${text} ${reason}`, error)
  }
}

function portBytes(text: string): Uint8Array {
  if (!/^\+?\d{1,20}$/.test(text)) throw invalid('failed to parse port addr: invalid syntax')
  const port = Number(text)
  if (port > 0xffff) throw invalid('failed to parse port addr: greater than 65536')
  return Uint8Array.of(port >>> 8, port & 0xff)
}

function invalid(message: string, cause?: unknown): ThreadsError {
  return new ThreadsError('INVALID_ADDRESS', message, { cause })
}
