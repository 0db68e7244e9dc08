import { type Address, addressFromBytes, addressToBytes } from '../core/address.ts'
import { ThreadsError } from '../core/errors.ts'
import { BoundedCache } from '../core/bounded-cache.ts'
import { decode, encode } from '../core/cbor.ts'
import { type PeerId, peerIdFromBytes } from '../core/peer-id.ts'
import type { HostStore } from '../store/host-store.ts'
import { KeyReader, rowRange } from '../store/key-codec.ts'
import { peerRowKey } from './rows.ts'

/** Addresses kept of one peer, of each kind; of those given, the oldest goes first. */
const MAX_ADDRESSES = 16
/** Peers of which addresses are stored that no user gave. */
const MAX_PEERS = 10_000
/** Peers of which it is known, in memory, where they say that they listen. */
const MAX_TOLD = 10_000

interface Known {
  /** By users. */
  readonly given: readonly Address[]
  /** By the peer itself, when it was last heard of. */
  readonly told: readonly Address[]
}

const NOTHING: Known = { given: [], told: [] }

/** Where peers are found. Logs name peers only by id, so this must outlive a restart. */
export class PeerAddresses {
  readonly #store: HostStore
  readonly #known = new Map<PeerId, Known>()
  readonly #told = new BoundedCache<PeerId, readonly Address[]>(MAX_TOLD)

  private constructor(store: HostStore) {
    this.#store = store
  }

  static async load(store: HostStore): Promise<PeerAddresses> {
    const book = new PeerAddresses(store)
    for await (const [key, value] of store.reads.entries(rowRange('p'))) {
      book.#known.set(peerIdFromBytes(new KeyReader(key).bytes()), decodeKnown(value))
    }
    return book
  }

  /** Those given come first. */
  *all(): Iterable<[PeerId, Address[]]> {
    for (const [peer, known] of this.#known) yield [peer, allOf(known)]
  }

  /** Stores an address that a user gave. */
  async add(peer: PeerId, address: Address): Promise<void> {
    const known = this.#known.get(peer) ?? NOTHING
    if (known.given.includes(address)) return
    await this.#put(peer, { ...known, given: [...known.given, address].slice(-MAX_ADDRESSES) })
  }

  /** Notes where a peer, which may be a stranger, says that it listens. Stores it only of peers that are stored already. */
  hear(peer: PeerId, addresses: readonly Address[]): void {
    this.#told.set(peer, addresses.slice(0, MAX_ADDRESSES))
    // If it cannot be stored now, it is when it is to be kept.
    if (this.#known.has(peer)) this.keep(peer).catch(() => {})
  }

  /** Stores where a peer of a thread says that it listens, if that has changed. Answers all that is known of it. */
  async keep(peer: PeerId): Promise<Address[]> {
    const told = this.#told.get(peer) ?? []
    const before = this.#known.get(peer)
    const known = told.length === 0 ? (before ?? NOTHING) : { ...(before ?? NOTHING), told }
    const isNew = known.told.join() !== (before ?? NOTHING).told.join()
    if (isNew && (before !== undefined || this.#known.size < MAX_PEERS)) await this.#put(peer, known)
    return allOf(known)
  }

  async #put(peer: PeerId, known: Known): Promise<void> {
    const before = this.#known.get(peer)
    this.#known.set(peer, known)
    const value = encodeKnown(known)
    try {
      await this.#store.committer.submit({
        thread: 0,
        heads: [],
        changes: [],
        operations: () => [{ type: 'put', key: peerRowKey(peer), value }],
      })
    } catch (error) {
      // Not known, so that it is stored when it is given again.
      if (this.#known.get(peer) === known) this.#known.set(peer, before ?? NOTHING)
      throw error
    }
  }
}

function allOf({ given, told }: Known): Address[] {
  return [...new Set([...given, ...told])]
}

function encodeKnown({ given, told }: Known): Uint8Array {
  return encode({ given: given.map(addressToBytes), told: told.map(addressToBytes) })
}

/** Throws STORE_CORRUPT. */
export function decodeKnown(value: Uint8Array): Known {
  try {
    const row = decode(value) as Uint8Array[] | { given: Uint8Array[]; told: Uint8Array[] }
    // An older form: those given only.
    const { given, told } = Array.isArray(row) ? { given: row, told: [] } : row
    return { given: given.map(addressFromBytes), told: told.map(addressFromBytes) }
  } catch (cause) {
    throw new ThreadsError('STORE_CORRUPT', 'the row of the addresses of a peer cannot be read', { cause })
  }
}
