import { APIDefinition, type ListenReply, type ListenRequest_Filter } from '../api/gen/threads.ts'
import { EMPTY_BYTES } from '../core/bytes.ts'
import { type ErrorCode, ThreadsError } from '../core/errors.ts'
import type { DriverUpdate } from '../documents/index.ts'
import { updateOf } from './convert.ts'
import { pause, randomBytes } from './platform.ts'
import type { Rpc, RpcStream } from './rpc.ts'

/** Waits before a lost connection is tried again, with a random part so that clients do not come all at once. */
const FIRST_DELAY_MS = 250
const MAX_DELAY_MS = 30_000

/** Failures that pass. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'PEER_UNREACHABLE',
  'CLOSED',
  'DB_REBUILDING',
  'SANDBOX_DOWN',
  'STORE_BUSY',
  'STORE_FAILED',
  'TOKEN_INVALID',
])

export interface Listening {
  readonly rpc: Rpc
  readonly dbID: Uint8Array
  readonly filters: ListenRequest_Filter[]
}

interface Feed {
  readonly stream: RpcStream<unknown, ListenReply>
  /** Of the start. */
  readonly token: Uint8Array
}

/**
 * Resolves when every later change will be told. A connection that is lost is taken up where it was. Ends when the
 * signal aborts or the database is deleted. Throws UPDATES_LOST.
 */
export async function listen(listening: Listening, signal: AbortSignal): Promise<AsyncIterable<DriverUpdate>> {
  return follow(listening, await open(listening, EMPTY_BYTES, signal), signal)
}

async function* follow(listening: Listening, first: Feed, signal: AbortSignal): AsyncGenerator<DriverUpdate> {
  let feed: Feed | undefined = first
  while (feed !== undefined) {
    let { token } = feed
    try {
      for (let reply = await feed.stream.receive(); reply !== undefined; reply = await feed.stream.receive()) {
        token = reply.token
        yield updateOf(reply)
      }
      return
    } catch (error) {
      if (signal.aborted) return
      if (!passes(error)) throw error
    } finally {
      feed.stream.cancel()
    }
    feed = await reopen(listening, token, signal)
  }
}

/** Tries until the host answers; `undefined` if the signal aborts before. */
async function reopen(listening: Listening, after: Uint8Array, signal: AbortSignal): Promise<Feed | undefined> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)) {
    const [random = 0] = randomBytes(1)
    await pause((delayMs * (256 + random)) / 512, signal)
    try {
      if (!signal.aborted) return await open(listening, after, signal)
    } catch (error) {
      if (!signal.aborted && !passes(error)) throw error
    }
    if (signal.aborted) return undefined
  }
}

/** The place in the order of changes is taken when the first reply is here. */
async function open({ rpc, dbID, filters }: Listening, after: Uint8Array, signal: AbortSignal): Promise<Feed> {
  const stream = await rpc.open(APIDefinition.methods.listen, { signal })
  stream.send({ dbID, filters, after, tokens: true })
  stream.halfClose()
  const start = await stream.receive()
  if (start === undefined) throw new ThreadsError('DB_NOT_FOUND', 'the database was deleted')
  return { stream, token: start.token }
}

function passes(error: unknown): boolean {
  return error instanceof ThreadsError && PASSING.has(error.code)
}
