import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Client, credentials } from '@grpc/grpc-js'
import { inFlight, rate } from './measure.ts'

export const ECHO_UNARY = '/echo/Unary'
export const ECHO_STREAM = '/echo/Stream'

const MESSAGE = Buffer.alloc(400)
const identity = (bytes: Buffer): Buffer => bytes

export interface GrpcLimits {
  /** Bare unary calls a second, of 400 bytes each way. */
  readonly unary: number
  /** The same, 64 in flight. */
  readonly unaryMany: number
  /** Messages a second through one stream, each sent and received. */
  readonly stream: number
}

/** What gRPC reaches between two processes of this machine. */
export async function grpcLimits(calls: number): Promise<GrpcLimits> {
  const server = fork(join(import.meta.dirname, 'echo-server.ts'))
  try {
    const [port] = (await once(server, 'message')) as [number]
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
    const call = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const done = (error: Error | null): void => (error === null ? resolve() : reject(error))
        client.makeUnaryRequest(ECHO_UNARY, identity, identity, MESSAGE, done)
      })
    await inFlight(16, Math.ceil(calls / 4), call)
    const unary = await rate(calls, () => inFlight(1, calls, call))
    const unaryMany = await rate(4 * calls, () => inFlight(64, 4 * calls, call))
    const stream = await rate(4 * calls, () => echoStream(client, 4 * calls))
    client.close()
    return { unary, unaryMany, stream }
  } finally {
    server.kill()
  }
}

async function echoStream(client: Client, messages: number): Promise<void> {
  const stream = client.makeBidiStreamRequest(ECHO_STREAM, identity, identity)
  const sending = (async (): Promise<void> => {
    for (let index = 0; index < messages; index++) if (!stream.write(MESSAGE)) await once(stream, 'drain')
    stream.end()
  })()
  let received = 0
  for await (const _ of stream) received++
  await sending
  if (received !== messages) throw new Error(`${received} of ${messages} messages came back`)
}
