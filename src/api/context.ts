import { status } from '@grpc/grpc-js'
import type { Caller } from '../core/caller.ts'
import type { Clock, Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Databases } from '../db/index.ts'
import type { Net } from '../net/index.ts'
import { RpcError } from './errors.ts'
import type { FairTurns } from './fair-turns.ts'
import type { CallInfo, Components, RpcContext } from './service.ts'

/**
 * Reads the authorization header when a handler asks who calls, not before: existing clients know faults of the header
 * to be told after faults of ids and addresses. Handlers that never ask are open to all.
 */
export class CallContext implements RpcContext {
  readonly net: Net
  readonly databases: Databases
  readonly clock: Clock
  readonly random: Random
  readonly #info: CallInfo
  readonly #turns: FairTurns
  #caller: Caller | undefined

  constructor({ net, databases, clock, random }: Components, info: CallInfo, turns: FairTurns) {
    this.net = net
    this.databases = databases
    this.clock = clock
    this.random = random
    this.#info = info
    this.#turns = turns
  }

  get signal(): AbortSignal {
    return this.#info.signal
  }

  get connection(): object {
    return this.#info.connection
  }

  metadata(name: string): string | undefined {
    return this.#info.metadata(name)
  }

  hold(bytes: number): void {
    this.#info.hold(bytes)
  }

  inTurn<T>(task: () => Promise<T>): Promise<T> {
    return this.#turns.run(task, this)
  }

  get token(): string {
    return bearerToken(this.metadata('authorization') ?? '')
  }

  get caller(): Caller {
    this.#caller ??= this.net.authenticate(this.token)
    return this.#caller
  }
}

/** The token of an authorization header. An empty header or token: anonymous. */
function bearerToken(header: string): string {
  if (header === '') return ''
  const space = header.indexOf(' ')
  if (space < 0) throw unauthenticated('Bad authorization string')
  if (header.slice(0, space).toLowerCase() !== 'bearer') throw unauthenticated('Request unauthenticated with bearer')
  return header.slice(space + 1)
}

function unauthenticated(message: string): RpcError {
  const hint = 'Send `authorization: bearer <token>`, or no such header.'
  return new RpcError(status.UNAUTHENTICATED, message, new ThreadsError('TOKEN_REQUIRED', message, { hint }))
}
