/** What this machine can do at best, measured with the same libraries in the same run. */
import { open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from '../src/core/crypto.ts'
import { generateKey } from '../src/core/keys.ts'
import { seal } from '../src/core/symmetric.ts'
import { openLevelStore } from '../src/store/level-store.ts'
import { grpcLimits, type GrpcLimits } from './echo.ts'
import { type Figure, rate } from './measure.ts'
import { streamLimit } from './peer-stream.ts'

export interface Limit {
  readonly limit: string
  readonly perSecond: number
}

export interface Limits {
  /** A record written alone: signed, encrypted, put, synced. */
  readonly create: Limit
  /** Many records at once: signed and encrypted on one core, the disk shared. */
  readonly createMany: Limit
  /** Records that come from elsewhere: verified and put. */
  readonly receive: Limit
  /** Bare calls of a daemon in another process. */
  readonly call: Limit
  readonly callMany: Limit
  /** All that was measured. */
  readonly figures: readonly Figure[]
}

/** What a record carries: a document of 305 bytes in its event, and an envelope. */
const BODY_BYTES = 400
const ENVELOPE_BYTES = 250
const SIGNED_BYTES = 72
const ROW_BYTES = 1_000
const BATCH = 256

export async function measureLimits(directory: string, count: number): Promise<Limits> {
  const key = generateKey(randomBytes)
  const symmetric = randomBytes(32)
  const [body, envelope, message, row] = [BODY_BYTES, ENVELOPE_BYTES, SIGNED_BYTES, ROW_BYTES].map(randomBytes) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  const signature = key.sign(message)
  const seals = (): void => {
    seal(symmetric, body, randomBytes)
    seal(symmetric, envelope, randomBytes)
  }
  const times = (task: (index: number) => unknown): Promise<number> =>
    rate(count, async () => {
      for (let index = 0; index < count; index++) await task(index)
    })
  const sign = await times(() => key.sign(message))
  const verify = await times(() => key.publicKey.verify(message, signature))
  const encrypt = await times(seals)
  const author = await times(() => {
    key.sign(message)
    seals()
  })
  const fsync = await fsyncs(join(directory, 'fsync'), row, count)
  const store = await openLevelStore({ location: join(directory, 'level') })
  const put = (index: number, sync: boolean): Promise<void> =>
    store.batch([{ type: 'put', key: Buffer.from(`h${index}`), value: row }], { sync })
  const synced = await times((index) => put(index, true))
  const unsynced = await times((index) => put(index, false))
  const create = await times(async (index) => {
    key.sign(message)
    seals()
    await put(index, true)
  })
  const receive = await rate(count, async () => {
    for (let at = 0; at < count; at += BATCH) {
      const operations = Array.from({ length: BATCH }, (_, index) => {
        key.publicKey.verify(message, signature)
        return { type: 'put', key: Buffer.from(`r${at + index}`), value: row } as const
      })
      await store.batch(operations, { sync: true })
    }
  })
  await store.close()
  const grpc = await grpcLimits(count)
  const stream = await streamLimit()
  return {
    create: { limit: 'sign, encrypt, synced put', perSecond: create },
    createMany: { limit: 'sign, encrypt', perSecond: author },
    receive: { limit: 'verify, put', perSecond: receive },
    call: { limit: 'bare unary call', perSecond: grpc.unary },
    callMany: { limit: 'bare unary calls, 64 in flight', perSecond: grpc.unaryMany },
    figures: figuresOf({ sign, verify, encrypt, fsync, synced, unsynced, create, receive, author }, grpc, stream),
  }
}

function figuresOf(measured: Record<string, number>, grpc: GrpcLimits, mibPerSecond: number): Figure[] {
  const names: Record<string, string> = {
    sign: 'ed25519 signatures',
    verify: 'ed25519 verifications',
    encrypt: `AES-GCM of ${BODY_BYTES} and ${ENVELOPE_BYTES} bytes`,
    author: 'sign, encrypt',
    fsync: `appends of ${ROW_BYTES} bytes with fsync`,
    synced: `LevelDB batches of ${ROW_BYTES} bytes, synced`,
    unsynced: `LevelDB batches of ${ROW_BYTES} bytes, not synced`,
    create: 'sign, encrypt, synced put',
    receive: `verify, put in synced batches of ${BATCH}`,
  }
  const perSecond = Object.entries(measured).map(
    ([name, value]): Figure => ({ work: `limit: ${names[name]}`, value, unit: '/s' }),
  )
  return [
    ...perSecond,
    { work: 'limit: bare unary gRPC calls, 1 in flight', value: grpc.unary, unit: '/s' },
    { work: 'limit: bare unary gRPC calls, 64 in flight', value: grpc.unaryMany, unit: '/s' },
    { work: 'limit: messages through one gRPC stream, both ways', value: grpc.stream, unit: '/s' },
    { work: 'limit: libp2p stream', value: mibPerSecond, unit: 'MiB/s' },
  ]
}

async function fsyncs(path: string, row: Uint8Array, count: number): Promise<number> {
  const file = await openFile(path, 'w')
  try {
    return await rate(count, async () => {
      for (let index = 0; index < count; index++) {
        await file.write(row)
        await file.datasync()
      }
    })
  } finally {
    await file.close()
  }
}
