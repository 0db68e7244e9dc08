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
  #header: Promise<string> | undefined
  /** The header that is handed out now; empty while there is none. */
  #current = ''

  constructor(key: IdentityKey, transport: StreamTransport) {
    this.#key = key
    this.#rpc = new Rpc(APIDefinition, transport, anonymous)
  }

  async header({ signal }: AbortOptions): Promise<string> {
    // Calls that begin meanwhile share the token: the signal of one of them ends only its own wait.
    this.#header ??= this.#request()
    const header = this.#header
    try {
      const value = await (signal === undefined ? header : unlessAborted(() => header, signal))
      if (this.#header === header) this.#current = value
      return value
    } catch (error) {
      if (signal?.aborted !== true && this.#header === header) this.#header = undefined
      throw error
    }
  }

  failed(error: unknown, header: string): void {
    // Of several calls with one token the first to fail drops it; the others find a new one.
    if (!hasCode(error, 'TOKEN_INVALID') || header !== this.#current) return
    this.#header = undefined
    this.#current = ''
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
      return `bearer ${token.value}`
    } finally {
      stream.cancel()
    }
  }
}

function unexpected(): ThreadsError {
  return new ThreadsError('BAD_MESSAGE', 'the daemon gave no token')
}
