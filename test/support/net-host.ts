import { randomBytes } from 'node:crypto'
import { type Address, parseAddress } from '../../src/core/address.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { generateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { type PeerId, peerIdOf } from '../../src/core/peer-id.ts'
import type { PeerHost } from '../../src/net/host/libp2p-host.ts'
import { openRecord } from '../../src/core/record.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import { createNet, type Net, type NetOptions, type ThreadRecord } from '../../src/net/index.ts'
import type { PeerNetwork } from '../../src/net/net.ts'
import type { PeerClient } from '../../src/net/protocol/client.ts'
import type { Handlers } from '../../src/net/protocol/handlers/handlers.ts'
import type { MethodName, ReplyOf, RequestOf } from '../../src/net/protocol/methods.ts'
import { PeerRefusal, statusOf } from '../../src/net/protocol/status.ts'
import type { HostStore, HostStoreOptions } from '../../src/store/host-store.ts'
import { openTestStore, type TestStore } from './host-store.ts'

/** Hosts that call each other in memory. */
export class NetLinks {
  readonly #handlers = new Map<PeerId, Handlers>()
  /** Hosts that cannot be reached. */
  readonly down: Set<PeerId> = new Set()
  /** Addresses that hosts were told to remember. */
  readonly remembered: { peer: PeerId; addresses: readonly Address[] }[] = []

  network(id: PeerId): PeerNetwork {
    const host: PeerHost = {
      id,
      addresses: () => [TRANSPORT],
      dial: () => Promise.reject(new Error('there are no streams')),
      connect: async (peer) => {
        this.#reach(peer)
      },
      handle: () => {},
      shutOut: () => {},
      remember: (peer, addresses) => {
        this.remembered.push({ peer, addresses })
      },
      pubsub: undefined,
      start: async () => {},
      close: async () => {},
    }
    const client: PeerClient = {
      call: (peer, method, request, { signal } = {}) => this.#call({ from: id, to: peer, method, request }, signal),
      close: () => {},
    }
    return { host, link: { client, serve: (handlers) => this.#handlers.set(id, handlers) } }
  }

  /** Answers calls of a host in its place. */
  answer(id: PeerId, answers: Partial<Handlers>): void {
    this.#handlers.set(id, { ...this.#reach(id), ...answers })
  }

  async #call<M extends MethodName>(
    { from, to, method, request }: { from: PeerId; to: PeerId; method: M; request: RequestOf<M> },
    signal: AbortSignal | undefined,
  ): Promise<ReplyOf<M>> {
    await Promise.resolve()
    signal?.throwIfAborted()
    const handler = this.#reach(to)[method] as (request: RequestOf<M>, caller: PeerId) => Promise<ReplyOf<M>>
    try {
      return await handler(request, from)
    } catch (error) {
      const status = statusOf(error)
      if (status === undefined) throw error
      throw new PeerRefusal(status.code, status.message)
    }
  }

  #reach(id: PeerId): Handlers {
    const handlers = this.#handlers.get(id)
    if (handlers === undefined || this.down.has(id)) throw new ThreadsError('PEER_UNREACHABLE', 'the link is down')
    return handlers
  }
}

const TRANSPORT = parseAddress('/ip4/10.0.0.1/tcp/4006')

export interface NetHost {
  readonly net: Net
  readonly store: HostStore
  readonly faulty: TestStore['faulty']
  readonly clock: TestStore['clock']
  stop(): Promise<void>
  /** Stops, and opens all anew from what is stored. */
  restart(): Promise<NetHost>
  /** The same, without the mark of a clean shutdown. */
  crash(): Promise<NetHost>
  /** Opens what is stored, after `stop`. */
  reopen(): Promise<NetHost>
}

export interface NetHostOptions {
  links?: NetLinks
  net?: NetOptions
  store?: Partial<HostStoreOptions>
  /** Is called with the store before net is opened over it. */
  onStore?: (store: HostStore) => void
}

/** A whole net layer on a clock that moves by hand, started. */
export async function openNetHost(options: NetHostOptions = {}): Promise<NetHost> {
  const { links = new NetLinks(), net = {}, store, onStore = () => {} } = options
  const privateKey = generateKey(randomBytes)
  const network = links.network(peerIdOf(privateKey.publicKey))
  const open = async (test: TestStore): Promise<NetHost> => {
    const { host, clock, faulty } = test
    onStore(host)
    const components = { store: host, privateKey, network, clock, random: randomBytes, logger: silentLogger }
    const opened = await createNet(components, net).catch(async (error: unknown) => {
      await host.close().catch(() => {})
      throw error
    })
    await opened.start()
    const stop = async (): Promise<void> => {
      await opened.stop()
      await host.close()
    }
    const reopen = async (): Promise<NetHost> => open({ ...test, host: await test.restart() })
    return {
      net: opened,
      store: host,
      faulty,
      clock,
      stop,
      async restart() {
        await stop()
        return reopen()
      },
      async crash() {
        // The batch that fails is the one that sets the mark.
        faulty.failBatch(1, { stored: false })
        await stop().catch(() => {})
        return reopen()
      },
      reopen,
    }
  }
  return open(await openTestStore(store))
}

/** Address at which others join a thread of the host. */
export function joinAddress(host: NetHost, threadId: string): Address {
  return parseAddress(`${TRANSPORT}/p2p/${host.net.hostId}/thread/${threadId}`)
}

/** Address of the host itself. */
export function hostAddress(host: NetHost): Address {
  return parseAddress(`${TRANSPORT}/p2p/${host.net.hostId}`)
}

/** Moves the clock until the store takes writes again after a failed one. */
export async function untilOpen({ store, clock }: Pick<NetHost, 'store' | 'clock'>): Promise<void> {
  for (let tries = 0; store.committer.state !== 'open'; tries++) {
    if (tries > 1_000) throw new Error('the store does not open again')
    clock.advance(100)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** All records of the log that an anonymous caller writes. Throws if one does not follow the one before it. */
export async function ownRecords({ net }: Pick<NetHost, 'net'>, id: ThreadId): Promise<ThreadRecord[]> {
  const { key, logs } = await net.getThread(id)
  const records: ThreadRecord[] = []
  const [own] = logs
  for (let { cid } = own?.head ?? {}; cid !== undefined; ) {
    const record = await net.getRecord(id, cid)
    if (record.counter !== (own?.head.counter ?? 0) - records.length) throw new Error('a counter is out of order')
    records.unshift(record)
    cid = openRecord(record.blocks.recordNode, key.service).prev
  }
  if (records.length !== (own?.head.counter ?? 0)) throw new Error('the log does not go back to its start')
  return records
}
