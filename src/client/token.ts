import { APIDefinition } from '../api/gen/threads.ts'
import type { AbortOptions } from '../core/abort.ts'
import { hasCode, ThreadsError } from '../core/errors.ts'
import { unlessAborted } from '../util/unless-aborted.ts'
import type { IdentityKey } from './identity.ts'
import { anonymous, type Authorization, Rpc } from './rpc.ts'
import type { StreamTransport } from './transport.ts'

/** Names an identity by a token, which is got when it is first needed, and again when it is no good any more. */
export class TokenAuthorization implements Authorization {
  readonly #key: IdentityKey
  readonly #rpc: Rpc
  #token: Promise<string> | undefined

  constructor(key: IdentityKey, transport: StreamTransport) {
    this.#key = key
    this.#rpc = new Rpc(APIDefinition, transport, anonymous)
  }

  async header({ signal }: AbortOptions): Promise<string> {
    // Calls that begin meanwhile share the token: the signal of one of them ends only its own wait.
    this.#token ??= this.#request()
    const token = this.#token
    try {
      return `bearer ${await (signal === undefined ? token : unlessAborted(() => token, signal))}`
    } catch (error) {
      if (signal?.aborted !== true && this.#token === token) this.#token = undefined
      throw error
    }
  }

  failed(error: unknown): void {
    if (hasCode(error, 'TOKEN_INVALID')) this.#token = undefined
  }

  async #request(): Promise<string> {
    const stream = await this.#rpc.open(APIDefinition.methods.getToken, {})
    try {
      stream.send({ payload: { $case: 'key', value: this.#key.identity } })
      const challenge = (await stream.receive())?.payload
      if (challenge?.$case !== 'challenge') throw unexpected()
      const signature = await this.#key.sign(challenge.value)
      stream.send({ payload: { $case: 'signature', value: signature } })
      stream.halfClose()
      const token = (await stream.receive())?.payload
      if (token?.$case !== 'token') throw unexpected()
      return token.value
    } finally {
      stream.cancel()
    }
  }
}

function unexpected(): ThreadsError {
  return new ThreadsError('BAD_MESSAGE', 'the daemon gave no token')
}
