import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Client, credentials } from '@grpc/grpc-js'
import { repeated, sample, timer, type Work } from '../measure.ts'
import { cpuOf } from '../processes.ts'
import type { DiskLimits } from './disk.ts'

export const ECHO_UNARY = '/echo/Unary'
export const ECHO_STREAM = '/echo/Stream'
/** Answers as many bytes as the request says, in ASCII. */
export const ECHO_BYTES = '/echo/Bytes'

const MESSAGE = Buffer.alloc(400)
const AT_ONCE = 64
const MESSAGES = 256

/** Between two processes, with messages of 400 bytes. */
export interface GrpcLimits extends AsyncDisposable {
  readonly call: Work
  readonly callMany: Work
  /** A call, and what it takes to write a record. */
  readonly callAndCreate: Work
  /** Messages through one stream, each sent when the one before is answered. */
  readonly roundTrip: Work
  /** Messages through one stream, each sent and received. */
  readonly stream: Work
  /** Calls with replies of so many bytes. */
  readonly reply: (bytes: number) => Work
}

export async function grpcLimits({ writeRecord }: Pick<DiskLimits, 'writeRecord'>): Promise<GrpcLimits> {
  const server = fork(join(import.meta.dirname, 'echo-server.ts'))
  const [port] = (await once(server, 'message')) as [number]
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
  })
  const cpu = cpuOf(server.pid ?? 0)
  const call = (path: string, message: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, identity, identity, message, (error) =>
        error === null ? resolve() : reject(error),
      )
    })
  const echo = (): Promise<void> => call(ECHO_UNARY, MESSAGE)
  return {
    call: repeated('bare unary calls', { cpu }, echo),
    callMany: repeated(`bare unary calls, ${AT_ONCE} in flight`, { cpu, atOnce: AT_ONCE }, echo),
    callAndCreate: repeated('bare unary call, sign, encrypt, synced put', { cpu }, async () => {
      await echo()
      await writeRecord()
    }),
    roundTrip: {
      name: 'messages through one gRPC stream and back, one by one',
      run: (ms) => sample(cpu, () => roundTrips(client, ms)),
    },
    stream: repeated('messages through one gRPC stream and back', { cpu, each: MESSAGES }, () => echoStream(client)),
    reply: (bytes) => {
      const request = Buffer.from(String(bytes))
      return repeated(`bare unary calls with replies of ${bytes} bytes`, { cpu }, () => call(ECHO_BYTES, request))
    },
    async [Symbol.asyncDispose]() {
      client.close()
      server.kill()
      await once(server, 'exit')
    },
  }
}

const identity = (bytes: Buffer): Buffer => bytes

async function roundTrips(client: Client, ms: number): Promise<number> {
  const stream = client.makeBidiStreamRequest(ECHO_STREAM, identity, identity)
  const isOver = timer(ms)
  let count = 0
  stream.write(MESSAGE)
  for await (const _ of stream) {
    count++
    if (isOver()) stream.end()
    else stream.write(MESSAGE)
  }
  return count
}

async function echoStream(client: Client): Promise<void> {
  const stream = client.makeBidiStreamRequest(ECHO_STREAM, identity, identity)
  const sending = (async (): Promise<void> => {
    for (let index = 0; index < MESSAGES; index++) if (!stream.write(MESSAGE)) await once(stream, 'drain')
    stream.end()
  })()
  let received = 0
  for await (const _ of stream) received++
  await sending
  if (received !== MESSAGES) throw new Error(`${received} of ${MESSAGES} messages came back`)
}
