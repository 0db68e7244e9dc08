import { status } from '@grpc/grpc-js'
import { ThreadsError } from '../core/errors.ts'
import { parseIdentity, publicKeyOfIdentity } from '../core/identity.ts'
import { RpcError } from './errors.ts'
import { inTime } from './in-time.ts'
import type { GetTokenReply, GetTokenRequest } from './gen/threads.ts'
import { endOfRequests, type RpcContext } from './service.ts'

const CHALLENGE_BYTES = 32
const MESSAGE_WAIT_MS = 60_000

/** The same in both services. */
export async function* getToken(
  requests: AsyncIterable<GetTokenRequest>,
  context: RpcContext,
): AsyncGenerator<GetTokenReply> {
  const messages = requests[Symbol.asyncIterator]()
  const identity = parseIdentity(keyOf(await nextInTime(messages, context)))
  const challenge = context.random(CHALLENGE_BYTES)
  yield { payload: { $case: 'challenge', value: challenge } }

  const signature = signatureOf(await nextInTime(messages, context))
  if (!publicKeyOfIdentity(identity).verify(challenge, signature)) {
    throw new ThreadsError('BAD_SIGNATURE', 'bad signature')
  }
  yield { payload: { $case: 'token', value: context.net.issueToken(identity) } }
}

function keyOf(next: IteratorResult<GetTokenRequest>): string {
  if (next.done === true) throw endOfRequests()
  const { payload } = next.value
  if (payload?.$case !== 'key') throw new RpcError(status.INVALID_ARGUMENT, 'Key is required')
  return payload.value
}

function signatureOf(next: IteratorResult<GetTokenRequest>): Uint8Array {
  if (next.done === true) throw endOfRequests()
  const { payload } = next.value
  if (payload?.$case !== 'signature') throw new RpcError(status.INVALID_ARGUMENT, 'Signature is required')
  return payload.value
}

function nextInTime<T>(messages: AsyncIterator<T>, { clock }: RpcContext): Promise<IteratorResult<T>> {
  return inTime(() => messages.next(), { clock, ms: MESSAGE_WAIT_MS, late })
}

function late(): RpcError {
  return new RpcError(status.DEADLINE_EXCEEDED, 'Challenge deadline exceeded')
}
