import { status } from '@grpc/grpc-js'
import { beforeEach, describe, expect, it } from 'vitest'
import { FairTurns } from '../../../src/api/fair-turns.ts'
import { CallContext } from '../../../src/api/context.ts'
import type { GetTokenReply, GetTokenRequest } from '../../../src/api/gen/threads.ts'
import { getToken } from '../../../src/api/get-token.ts'
import { callerIdentity, callerKey, fixedRandom } from '../../support/api-server.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeDatabases } from '../../support/fake-databases.ts'
import { fakeNet } from '../../support/fake-net.ts'

let clock: FakeClock
let context: CallContext

beforeEach(() => {
  clock = new FakeClock()
  const components = { net: fakeNet(clock), databases: new FakeDatabases(), clock, random: fixedRandom }
  context = new CallContext(
    components,
    {
      metadata: () => 'nonsense',
      signal: new AbortController().signal,
      hold: () => {},
      connection: {},
    },
    new FairTurns(1),
  )
})

const key: GetTokenRequest = { payload: { $case: 'key', value: callerIdentity } }
const signature = (bytes: Uint8Array): GetTokenRequest => ({ payload: { $case: 'signature', value: bytes } })

/** Answers the challenge with what `respond` makes of it; nothing: the caller is silent. */
async function challenged(respond: (challenge: Uint8Array) => GetTokenRequest | undefined): Promise<GetTokenReply> {
  const answer = Promise.withResolvers<GetTokenRequest>()
  async function* requests(): AsyncGenerator<GetTokenRequest> {
    yield key
    yield await answer.promise
  }
  const replies = getToken(requests(), context)
  const { value } = await replies.next()
  const challenge = value?.payload?.$case === 'challenge' ? value.payload.value : new Uint8Array(0)
  expect(challenge).toHaveLength(32)
  const next = replies.next()
  const response = respond(challenge)
  if (response !== undefined) answer.resolve(response)
  return (await next).value
}

describe('GetToken', () => {
  it('gives a token to who signs the challenge, and looks at no authorization', async () => {
    const { payload } = await challenged((challenge) => signature(callerKey.sign(challenge)))
    expect(payload?.$case).toBe('token')
    const token = payload?.$case === 'token' ? payload.value : ''
    expect(context.net.authenticate(token)).toEqual({ identity: callerIdentity })
    expect(clock.pendingTimers).toBe(0)
  })

  it('gives none for another signature', async () => {
    const wrong = challenged(() => signature(callerKey.sign(new Uint8Array(32))))
    await expect(wrong).rejects.toMatchObject({ code: 'BAD_SIGNATURE', message: 'bad signature' })
  })

  it('gives none for anything else', async () => {
    await expect(challenged(() => key)).rejects.toMatchObject({ message: 'Signature is required' })
    await expect(challenged(() => ({ payload: undefined }))).rejects.toMatchObject({ message: 'Signature is required' })
  })

  it('waits a minute for the signature', async () => {
    let over = false
    const waiting = challenged(() => {
      clock.advance(59_999)
      return undefined
    }).finally(() => {
      over = true
    })
    waiting.catch(() => {})
    await new Promise(setImmediate)
    expect(over).toBe(false)
    clock.advance(1)
    await expect(waiting).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
      message: 'Challenge deadline exceeded',
    })
  })
})
