import { readFileSync } from 'node:fs'
import { HealthDefinition } from '../../src/api/gen/health.ts'
import { APIDefinition as DbDefinition } from '../../src/api/gen/threads.ts'
import { APIDefinition as NetDefinition } from '../../src/api/gen/threadsnet.ts'
import { fromHex, toHex, utf8 } from '../../src/core/bytes.ts'
import { identityOf } from '../../src/core/identity.ts'
import { keyFromSeed } from '../../src/core/keys.ts'
import { parsePeerId, peerIdToBytes } from '../../src/core/peer-id.ts'
import { RpcFailure, ServiceClient, type RpcCall, type RpcStatus, type Transport } from './grpc-client.ts'

export interface Fields {
  readonly [name: string]: unknown
}

/** One call of the script, as it went with a Go daemon. */
export interface ScriptCase {
  readonly service: string
  readonly method: string
  readonly name: string
  readonly stream?: boolean
  readonly metadata?: readonly (readonly [string, string])[]
  readonly request?: Fields
  readonly requestBytes?: string
  readonly requestNote?: string
  readonly steps?: readonly (string | Fields)[]
  readonly code?: number
  readonly message?: string
  readonly reply?: Fields
  readonly replies?: readonly Fields[]
  readonly stillOpen?: boolean
  readonly timeout?: string
  readonly seconds?: number
  readonly documents?: readonly string[]
  readonly during?: string
  readonly fault?: boolean
  readonly crash?: boolean
  readonly expected?: { readonly code?: number; readonly message?: string; readonly exists?: boolean }
  readonly note?: string
}

interface Script {
  readonly hostID: string
  readonly secondHostID: string
  readonly cases: readonly ScriptCase[]
}

/** A daemon under test. */
export interface Host {
  readonly peerId: string
  /** TCP port of its libp2p host. */
  readonly port: number
  readonly transport: Transport
}

export type Outcome =
  | { readonly kind: 'open'; readonly replies: Fields[] }
  | ({ readonly kind: 'over'; readonly replies: Fields[] } & RpcStatus)

const VECTORS = new URL('../interop/vectors/', import.meta.url)
/** Ports of the two hosts the script was made with. */
const SCRIPT_PORTS = [7100, 7103]
/** The identity that `$TOKEN` and challenges are for. */
const callerKey = keyFromSeed(new Uint8Array(32).fill(0x09))
/** How long a stream must stay open to count as open. */
const OPEN_MS = 200
const BYTE_FIELDS: ReadonlySet<string> = new Set(
  'dbID threadID threadIDs recordID logID instances queryJSON schema signature'.split(' '),
)

export const SCRIPT: Script = JSON.parse(readFileSync(new URL('rpc-errors.json', VECTORS), 'utf8'))

/** Runs cases of the script on two daemons, over one transport. */
export class ScriptRunner {
  readonly #hosts: readonly [first: Host, second: Host]
  readonly #tokens: Promise<string>[]

  constructor(first: Host, second: Host) {
    this.#hosts = [first, second]
    this.#tokens = this.#hosts.map(({ transport }) => tokenOf(transport))
  }

  /** Notes tell where the second daemon was asked. */
  async run(one: ScriptCase): Promise<Outcome> {
    const isSecond = /second daemon|without dbs|after the failure before/.test(one.note ?? '')
    const { transport } = this.#hosts[isSecond ? 1 : 0]
    const token = await this.#tokens[isSecond ? 1 : 0]
    const metadata = (one.metadata ?? []).map(
      ([name, value]) => [name, value.replace('$TOKEN', () => token ?? '')] as const,
    )
    const call = transport.open(`/${one.service}/${one.method}`, {
      metadata,
      ...(one.timeout === undefined ? {} : { timeoutMs: Number.parseInt(one.timeout) * 1_000 }),
    })
    if (one.steps === undefined) {
      call.send(this.#requestOf(one))
      call.halfClose()
      return finish(one, call, [])
    }
    return this.#converse(one, call)
  }

  async #converse(one: ScriptCase, call: RpcCall): Promise<Outcome> {
    const replies: Fields[] = []
    let challenge = new Uint8Array(0)
    for (const step of one.steps ?? []) {
      if (step === 'half-close') call.halfClose()
      else if (step === 'receive') {
        const reply = await call.receive()
        if (reply === undefined) break
        const fields = decode(one, reply)
        if (fields['challenge'] instanceof Uint8Array) challenge = fields['challenge'].slice()
        replies.push(fields)
      } else if (typeof step === 'string') call.send(encode(one, { signature: toHex(callerKey.sign(challenge)) }))
      else call.send(encode(one, step))
    }
    return finish(one, call, replies)
  }

  #requestOf(one: ScriptCase): Uint8Array {
    if (one.requestNote !== undefined) return fourMebibytesOfZeros()
    const hex = one.requestBytes === undefined ? toHex(encode(one, one.request ?? {})) : one.requestBytes
    return fromHex(this.#withOurHosts(hex))
  }

  /** Addresses of the hosts of the script become those of the daemons under test. */
  #withOurHosts(hex: string): string {
    const scriptIds = [SCRIPT.hostID, SCRIPT.secondHostID]
    let replaced = hex
    for (const [i, host] of this.#hosts.entries()) {
      replaced = replaced
        .replaceAll(tcpHex(SCRIPT_PORTS[i] ?? 0), tcpHex(host.port))
        .replaceAll(peerHex(scriptIds[i] ?? ''), peerHex(host.peerId))
    }
    return replaced
  }
}

async function finish(one: ScriptCase, call: RpcCall, replies: Fields[]): Promise<Outcome> {
  if (one.stillOpen === true || one.during !== undefined) {
    const isOpen = await Promise.race([call.status.then(() => false), waited(OPEN_MS)])
    if (isOpen) {
      call.cancel()
      return { kind: 'open', replies }
    }
  }
  for (let reply = await call.receive(); reply !== undefined; reply = await call.receive()) {
    replies.push(decode(one, reply))
  }
  return { kind: 'over', replies, ...(await call.status) }
}

function waited(ms: number): Promise<true> {
  return new Promise((resolve) => setTimeout(() => resolve(true), ms))
}

async function tokenOf(transport: Transport): Promise<string> {
  const call = new ServiceClient(transport, DbDefinition).open(DbDefinition.methods.getToken)
  call.send({ payload: { $case: 'key', value: identityOf(callerKey.publicKey) } })
  const challenge = await call.receive()
  if (challenge?.payload?.$case !== 'challenge') throw new RpcFailure(await call.call.status)
  call.send({ payload: { $case: 'signature', value: callerKey.sign(challenge.payload.value) } })
  const token = await call.receive()
  if (token?.payload?.$case !== 'token') throw new RpcFailure(await call.call.status)
  await call.end()
  return token.payload.value
}

interface LooseCodec {
  fromPartial(members: object): unknown
  encode(message: never): { finish(): Uint8Array }
  decode(bytes: Uint8Array): object
}

interface LooseDefinition {
  readonly name: string
  readonly requestType: LooseCodec
  readonly responseType: LooseCodec
}

function definitionOf({ service, method }: ScriptCase): LooseDefinition {
  const known = [DbDefinition, NetDefinition, HealthDefinition].find(({ fullName }) => fullName === service)
  const definitions: LooseDefinition[] = Object.values(known?.methods ?? {})
  const definition = definitions.find(({ name }) => name === method)
  if (definition === undefined) throw new Error(`no method ${service}/${method}`)
  return definition
}

function encode(one: ScriptCase, fields: Fields): Uint8Array {
  const { requestType } = definitionOf(one)
  return requestType.encode(requestType.fromPartial(membersOf(fields)) as never).finish()
}

/** The script writes bytes in hex and a oneof as its member. */
function membersOf(fields: Fields): Fields {
  const members: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (name.endsWith('Request')) members['option'] = { $case: name, value: membersOf(value as Fields) }
    else if (name === 'key' || name === 'signature') members['payload'] = { $case: name, value: valueOf(name, value) }
    else members[name] = valueOf(name, value)
  }
  return members
}

function valueOf(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => valueOf(name, item))
  if (typeof value === 'object' && value !== null) return membersOf(value as Fields)
  return BYTE_FIELDS.has(name) ? fromHex(String(value)) : value
}

/** A reply as the script writes it, but with bytes as they are. */
function decode(one: ScriptCase, bytes: Uint8Array): Fields {
  const members = definitionOf(one).responseType.decode(bytes) as Fields
  const chosen = (members['option'] ?? members['payload']) as { $case: string; value: unknown } | undefined
  return chosen === undefined ? members : { [chosen.$case]: chosen.value }
}

function fourMebibytesOfZeros(): Uint8Array {
  const id = `0155${'a1'.repeat(32)}`
  const request = { dbID: fromHex(id), collectionName: 'Dog', instances: [new Uint8Array(4 * 1024 * 1024)] }
  return DbDefinition.methods.create.requestType.encode(request).finish()
}

/** `/tcp/<port>`, as bytes. */
function tcpHex(port: number): string {
  return `047f00000106${port.toString(16).padStart(4, '0')}`
}

function peerHex(id: string): string {
  return toHex(peerIdToBytes(parsePeerId(id)))
}

/** A collection named Any, holding the documents a case needs, in a database of its own. */
export async function databaseWithDocuments(transport: Transport, documents: readonly string[]): Promise<string> {
  const dbID = fromHex(`0155${toHex(crypto.getRandomValues(new Uint8Array(32)))}`)
  const client = new ServiceClient(transport, DbDefinition)
  const schema = utf8('{"properties":{"_id":{"type":"string"}}}')
  await client.unary(DbDefinition.methods.newDB, {
    dbID,
    collections: [
      { name: 'Any', schema },
      { name: 'Dog', schema },
    ],
  })
  const instances = documents.map((document) => utf8(document))
  await client.unary(DbDefinition.methods.create, { dbID, collectionName: 'Any', instances })
  return toHex(dbID)
}
