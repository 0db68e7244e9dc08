import { type Address, addressFromBytes, addressToBytes } from '../core/address.ts'
import { decode, encode } from '../core/cbor.ts'
import { type PeerId, peerIdFromBytes } from '../core/peer-id.ts'
import type { HostStore } from '../store/host-store.ts'
import { KeyReader, rowRange } from '../store/key-codec.ts'
import { peerRowKey } from './rows.ts'

/** Addresses kept of one peer; the oldest goes first. */
const MAX_ADDRESSES = 16

/** Transport addresses that users gave for peers. Logs name peers only by id, so these must outlive a restart. */
export class PeerAddresses {
  readonly #store: HostStore
  readonly #known = new Map<PeerId, Address[]>()

  private constructor(store: HostStore) {
    this.#store = store
  }

  static async load(store: HostStore): Promise<PeerAddresses> {
    const book = new PeerAddresses(store)
    for await (const [key, value] of store.reads.entries(rowRange('p'))) {
      const peer = peerIdFromBytes(new KeyReader(key).bytes())
      const addresses = (decode(value) as Uint8Array[]).map((address) => addressFromBytes(address))
      book.#known.set(peer, addresses)
    }
    return book
  }

  all(): Iterable<[PeerId, Address[]]> {
    return this.#known
  }

  async add(peer: PeerId, address: Address): Promise<void> {
    const known = this.#known.get(peer) ?? []
    if (known.includes(address)) return
    const addresses = [...known, address].slice(-MAX_ADDRESSES)
    this.#known.set(peer, addresses)
    const value = encode(addresses.map((each) => addressToBytes(each)))
    try {
      await this.#store.committer.submit({
        thread: 0,
        heads: [],
        changes: [],
        operations: () => [{ type: 'put', key: peerRowKey(peer), value }],
      })
    } catch (error) {
      // Not known, so that it is stored when it is given again.
      this.#known.set(
        peer,
        (this.#known.get(peer) ?? []).filter((each) => each !== address),
      )
      throw error
    }
  }
}
