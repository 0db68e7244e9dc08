import { join } from 'node:path'
import type { Load, Peer, PeerDatabase, PeerHost, Person } from './peer.ts'

interface Documents {
  readonly address: string
  put(person: Person): Promise<string>
  get(id: string): Promise<unknown>
  all(): Promise<unknown[]>
  close(): Promise<void>
}

interface OrbitDb {
  open(address: string, options: object): Promise<Documents>
  stop(): Promise<void>
}

interface Libp2p {
  dial(addresses: unknown): Promise<unknown>
  getMultiaddrs(): unknown
}

interface Helia {
  stop(): Promise<void>
}

type Create<Result> = (options?: object) => Result

export const orbitdb: Peer = {
  name: 'OrbitDB 4',
  packages: [
    '@orbitdb/core@4',
    'helia@6',
    'blockstore-level@3',
    'libp2p@3',
    '@libp2p/tcp@11',
    '@libp2p/identify@4',
    '@libp2p/gossipsub@15',
    '@chainsafe/libp2p-noise@17',
    '@chainsafe/libp2p-yamux@8',
  ],
  notes: 'signed, not encrypted; LevelDB without sync: a write may be lost with the power. No batches, no indexes.',
  async open(load, directory) {
    const { createOrbitDB, Documents, IPFSAccessController } = await load<{
      createOrbitDB: (options: object) => Promise<OrbitDb>
      Documents: Create<unknown>
      IPFSAccessController: Create<unknown>
    }>('@orbitdb/core')
    const libp2p = await startLibp2p(load)
    const helia = await startHelia(load, { libp2p, directory })
    const orbit = await createOrbitDB({ ipfs: helia, id: directory, directory: join(directory, 'orbitdb') })
    const openAt = async (address: string): Promise<OrbitDatabase> =>
      new OrbitDatabase(
        await orbit.open(address, {
          Database: Documents({ indexBy: '_id' }),
          AccessController: IPFSAccessController({ write: ['*'] }),
        }),
      )
    const host: OrbitHost = {
      libp2p,
      create: () => openAt('people'),
      async copy(database, from) {
        await libp2p.dial((from as OrbitHost).libp2p.getMultiaddrs())
        return openAt((database as OrbitDatabase).address)
      },
      async close() {
        await orbit.stop()
        await helia.stop()
      },
    }
    return host
  },
}

interface OrbitHost extends PeerHost {
  readonly libp2p: Libp2p
}

class OrbitDatabase implements PeerDatabase {
  readonly #documents: Documents

  constructor(documents: Documents) {
    this.#documents = documents
  }

  get address(): string {
    return this.#documents.address
  }

  put(person: Person): Promise<unknown> {
    return this.#documents.put(person)
  }

  get(id: string): Promise<unknown> {
    return this.#documents.get(id)
  }

  async count(): Promise<number> {
    return (await this.#documents.all()).length
  }
}

async function startLibp2p(load: Load): Promise<Libp2p> {
  const { createLibp2p } = await load<{ createLibp2p: (options: object) => Promise<Libp2p> }>('libp2p')
  const { tcp } = await load<{ tcp: Create<unknown> }>('@libp2p/tcp')
  const { noise } = await load<{ noise: Create<unknown> }>('@chainsafe/libp2p-noise')
  const { yamux } = await load<{ yamux: Create<unknown> }>('@chainsafe/libp2p-yamux')
  const { identify } = await load<{ identify: Create<unknown> }>('@libp2p/identify')
  const { gossipsub } = await load<{ gossipsub: Create<unknown> }>('@libp2p/gossipsub')
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    services: { identify: identify(), pubsub: gossipsub({ allowPublishToZeroTopicPeers: true }) },
  })
}

async function startHelia(load: Load, { libp2p, directory }: { libp2p: Libp2p; directory: string }): Promise<Helia> {
  const { createHelia } = await load<{ createHelia: (options: object) => Promise<Helia> }>('helia')
  const { LevelBlockstore } = await load<{ LevelBlockstore: new (path: string) => object }>('blockstore-level')
  return createHelia({ libp2p, blockstore: new LevelBlockstore(join(directory, 'blocks')) })
}
