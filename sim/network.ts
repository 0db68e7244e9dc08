import type { AbortOptions } from '../src/core/abort.ts'
import { parseAddress } from '../src/core/address.ts'
import { ThreadsError } from '../src/core/errors.ts'
import type { PeerId } from '../src/core/peer-id.ts'
import type { PeerNetwork } from '../src/net/net.ts'
import { CALL_TIMEOUT_MS } from '../src/net/protocol/constants.ts'
import type { FrameStream } from '../src/net/protocol/frame-stream.ts'
import type { Handlers } from '../src/net/protocol/handlers/handlers.ts'
import { type Method, type MethodName, methods, type ReplyOf, type RequestOf } from '../src/net/protocol/methods.ts'
import { PeerRefusal, Status, statusOf } from '../src/net/protocol/status.ts'
import type { SeededRandom } from './random.ts'
import type { Life, Scheduler } from './scheduler.ts'
import { SimStreams } from './streams.ts'
import { type Carry, Topics } from './topics.ts'

/** How bad the network is: probabilities for each message. */
export interface Weather {
  readonly drop: number
  readonly duplicate: number
  /** Of a delay of seconds instead of milliseconds. */
  readonly linger: number
}

/** A message that is lost is sent again by those who carry streams; sometimes that fails as well. */
const BREAKS_OF_DROPS = 0.05

export const FAIR: Weather = { drop: 0, duplicate: 0, linger: 0 }

interface Station {
  readonly id: PeerId
  readonly life: Life
  handlers: Handlers | undefined
  onStream: ((stream: FrameStream, peer: PeerId) => void) | undefined
}

interface Joining {
  readonly id: PeerId
  readonly life: Life
  readonly address: string
  readonly gossips: boolean
  /** Takes part in Sync. */
  readonly syncs: boolean
}

interface Call {
  readonly from: Station
  readonly to: PeerId
  readonly method: MethodName
  readonly bytes: Uint8Array
}

type Outcome = { readonly reply: Uint8Array } | { readonly error: Error }

/** Calls between hosts, delivered when the scheduler says so, or never. */
export class SimNetwork {
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  readonly #stations = new Map<PeerId, Station>()
  readonly #cut = new Map<string, number>()
  readonly #topics = new Topics((way, arrive) => this.#carry(way, arrive))
  readonly #streams: SimStreams
  weather: Weather = FAIR
  /** Handlers failed in a way that no peer should see. */
  onFailure: (error: unknown) => void = () => {}

  constructor(scheduler: Scheduler, random: SeededRandom) {
    this.#scheduler = scheduler
    this.#random = random
    this.#streams = new SimStreams(scheduler, {
      delayMs: () => this.#delayMs(),
      isLost: (way) => this.#isCut(way) || this.#random.chance(this.weather.drop * BREAKS_OF_DROPS),
    })
  }

  /** The network as one life of a host has it. */
  join({ id, life, address, gossips, syncs }: Joining): PeerNetwork {
    const station: Station = { id, life, handlers: undefined, onStream: undefined }
    return {
      host: {
        id,
        pubsub: gossips ? this.#topics.of(id, life) : undefined,
        addresses: () => [parseAddress(address)],
        dial: () => Promise.reject(new ThreadsError('PEER_UNREACHABLE', 'hosts call each other without streams')),
        connect: async () => {},
        handle: () => {},
        remember: () => {},
        shutOut: () => {},
        start: async () => {},
        close: async () => {},
      },
      link: {
        opener: syncs ? { openSync: (to, options) => this.#open(station, to, options) } : undefined,
        serve: (handlers, onSync) => {
          station.handlers = handlers
          station.onStream = onSync
          this.#stations.set(id, station)
        },
        client: {
          call: (to, method, request, options) => this.#call({ from: station, to, method, request }, options),
          close: () => {},
        },
      },
    }
  }

  /** From now on nothing of one host reaches the other. The returned function takes it back. */
  cut(from: PeerId, to: PeerId): () => void {
    const way = `${from} ${to}`
    this.#cut.set(way, (this.#cut.get(way) ?? 0) + 1)
    return () => this.#cut.set(way, (this.#cut.get(way) ?? 1) - 1)
  }

  heal(): void {
    this.#cut.clear()
  }

  #carry({ from, fromId, to, toId, label }: Parameters<Carry>[0], arrive: () => void): void {
    const copies = this.#random.chance(this.weather.duplicate) ? 2 : 1
    for (let i = 0; i < copies; i++) {
      if (this.#random.chance(this.weather.drop)) continue
      const isHeard = (): boolean => to.alive && !this.#isCut({ from: fromId, to: toId })
      this.#scheduler.after(this.#delayMs(), `${from.name}  ${label} to ${to.name}`, () => {
        if (isHeard()) arrive()
      })
    }
  }

  async #call<M extends MethodName>(
    { request, ...call }: { from: Station; to: PeerId; method: M; request: RequestOf<M> },
    { signal }: AbortOptions = {},
  ): Promise<ReplyOf<M>> {
    signal?.throwIfAborted()
    const method = methods[call.method] as Method<RequestOf<M>, ReplyOf<M>>
    const outcome = await this.#send({ ...call, bytes: method.request.encode(request) }, signal)
    if ('error' in outcome) throw outcome.error
    return method.reply.decode(outcome.reply)
  }

  #send(call: Call, signal: AbortSignal | undefined): Promise<Outcome> {
    const { from, to } = call
    return new Promise((resolve) => {
      // What is left of a host that crashed is not heard.
      if (!from.life.alive) return
      const label = `${call.method} to ${this.#stations.get(to)?.life.name ?? 'nobody'}`
      const end = (outcome: Outcome): void => {
        giveUp()
        signal?.removeEventListener('abort', onAbort)
        resolve(outcome)
      }
      const giveUp = this.#scheduler.after(
        CALL_TIMEOUT_MS,
        `${label}: no answer`,
        () => end({ error: unreachable() }),
        from.life,
      )
      const onAbort = (): void => end({ error: signal?.reason })
      signal?.addEventListener('abort', onAbort, { once: true })
      if (this.#isCut({ from: from.id, to }) && this.#random.chance(0.5)) {
        this.#scheduler.after(this.#delayMs(), `${label}: refused`, () => end({ error: unreachable() }), from.life)
        return
      }
      const copies = this.#random.chance(this.weather.duplicate) ? 2 : 1
      for (let i = 0; i < copies; i++) {
        if (this.#random.chance(this.weather.drop)) continue
        this.#scheduler.after(this.#delayMs(), `${from.life.name}  ${label}`, () => void this.#deliver(call, end))
      }
    })
  }

  async #deliver(call: Call, end: (outcome: Outcome) => void): Promise<void> {
    const { from, to, method } = call
    const station = this.#stations.get(to)
    if (this.#isCut({ from: from.id, to })) return
    if (station?.handlers === undefined || !station.life.alive) {
      this.#scheduler.after(this.#delayMs(), `${method}: refused`, () => end({ error: unreachable() }), from.life)
      return
    }
    const outcome = await this.#answer(station.handlers, call)
    // An answer that a host could not send before it went down never comes.
    if (!station.life.alive || this.#isCut({ from: to, to: from.id }) || this.#random.chance(this.weather.drop)) return
    this.#scheduler.after(
      this.#delayMs(),
      `reply to ${method} from ${station.life.name}`,
      () => end(outcome),
      from.life,
    )
  }

  async #answer(handlers: Handlers, { from, method: name, bytes }: Call): Promise<Outcome> {
    const method = methods[name] as Method<unknown, unknown>
    const handler = handlers[name] as (request: unknown, caller: PeerId) => Promise<unknown>
    try {
      return { reply: method.reply.encode(await handler(method.request.decode(bytes), from.id)) }
    } catch (error) {
      const status = statusOf(error)
      if (status === undefined) this.onFailure(error)
      if (status?.code === Status.unavailable) return { error: unreachable() }
      return { error: new PeerRefusal(status?.code ?? Status.internal, status?.message ?? 'internal error') }
    }
  }

  /** Opens a stream to the life of a host that is there then. */
  #open(from: Station, to: PeerId, { signal }: AbortOptions = {}): Promise<FrameStream> {
    return new Promise((resolve, reject) => {
      if (!from.life.alive) return
      signal?.throwIfAborted()
      this.#scheduler.after(
        this.#delayMs(),
        `${from.life.name}  opens a stream to ${this.#stations.get(to)?.life.name ?? 'nobody'}`,
        () => {
          const station = this.#stations.get(to)
          const isCut = this.#isCut({ from: from.id, to }) || this.#isCut({ from: to, to: from.id })
          if (isCut || station?.handlers === undefined || !station.life.alive) return reject(unreachable())
          if (station.onStream === undefined) return resolve(this.#streams.refused(from))
          const { opened, accepted } = this.#streams.open(from, station)
          station.onStream(accepted, from.id)
          resolve(opened)
        },
        from.life,
      )
    })
  }

  #isCut({ from, to }: { from: PeerId; to: PeerId }): boolean {
    return (this.#cut.get(`${from} ${to}`) ?? 0) > 0
  }

  #delayMs(): number {
    return this.#random.chance(this.weather.linger) ? this.#random.between(500, 15_000) : 1 + this.#random.unit() * 60
  }
}

function unreachable(): ThreadsError {
  return new ThreadsError('PEER_UNREACHABLE', 'the peer does not answer')
}
