import type { Load, Peer, PeerDatabase, PeerHost, Person } from './peer.ts'

interface Documents {
  put(document: object, options: object): Promise<unknown>
  putMany(documents: readonly object[], options: object): Promise<unknown>
  readonly index: {
    get(id: string, options: object): Promise<unknown>
    search(request: object, options: object): Promise<unknown[]>
    getSize(): Promise<number>
  }
}

interface Store {
  readonly address: string
  readonly documents: Documents
}

interface Client {
  open(store: object | string, options: object): Promise<Store>
  dial(addresses: unknown): Promise<boolean>
  getMultiaddrs(): unknown
  stop(): Promise<void>
}

interface Search {
  SearchRequest: new (options: object) => object
  IntegerCompare: new (options: object) => object
  Compare: { readonly Equal: unknown }
}

/** What is made of the packages: classes with the fields that are stored. */
interface Program extends Search {
  newStore(): object
  newPerson(person: Person): object
}

const LOCAL = { local: true, remote: false }
const NEW = { unique: true }
const REPLICATED = { args: { replicate: { factor: 1 }, timeUntilRoleMaturity: 0 } }

export const peerbit: Peer = peerbitWith({
  name: 'Peerbit 5',
  notes: 'signed, not encrypted; LevelDB and SQLite, both synced, one after the other.',
  preset: async () => ({}),
})

export const peerbitRust: Peer = peerbitWith({
  name: 'Peerbit 5, Rust preset',
  notes: 'signed, not encrypted; a journal of its own with durability "strict"; index in memory and journal.',
  async preset(load) {
    const { createRustPeerbitOptions } = await load<{ createRustPeerbitOptions: (options: object) => object }>(
      'peerbit/rust',
    )
    const durability = 'strict'
    return createRustPeerbitOptions({
      storage: { default: { durability }, blocks: { durability }, keychain: { durability } },
    })
  },
})

function peerbitWith({
  preset,
  ...words
}: Pick<Peer, 'name' | 'notes'> & { preset: (load: Load) => Promise<object> }): Peer {
  return {
    ...words,
    packages: ['peerbit@5', '@peerbit/document@13', '@peerbit/program', '@dao-xyz/borsh@6'],
    async open(load, directory) {
      const { Peerbit } = await load<{ Peerbit: { create(options: object): Promise<Client> } }>('peerbit')
      const program = await programOf(load)
      const client = await Peerbit.create({ directory, relay: false, ...(await preset(load)) })
      const host: PeerbitHost = {
        client,
        create: async () => new PeerbitDatabase(await client.open(program.newStore(), REPLICATED), program),
        async copy(database, from) {
          await client.dial((from as PeerbitHost).client.getMultiaddrs())
          return new PeerbitDatabase(await client.open((database as PeerbitDatabase).address, REPLICATED), program)
        },
        close: () => client.stop(),
      }
      return host
    },
  }
}

interface PeerbitHost extends PeerHost {
  readonly client: Client
}

class PeerbitDatabase implements PeerDatabase {
  readonly #store: Store
  readonly #program: Program

  constructor(store: Store, program: Program) {
    this.#store = store
    this.#program = program
  }

  get address(): string {
    return this.#store.address
  }

  put(person: Person): Promise<unknown> {
    return this.#store.documents.put(this.#program.newPerson(person), NEW)
  }

  putMany(people: readonly Person[]): Promise<unknown> {
    const documents = people.map((person) => this.#program.newPerson(person))
    return this.#store.documents.putMany(documents, NEW)
  }

  get(id: string): Promise<unknown> {
    return this.#store.documents.index.get(id, LOCAL)
  }

  async find(age: number): Promise<number> {
    const { SearchRequest, IntegerCompare, Compare } = this.#program
    const query = [new IntegerCompare({ key: 'age', value: age, compare: Compare.Equal })]
    return (await this.#store.documents.index.search(new SearchRequest({ query, fetch: 1_000 }), LOCAL)).length
  }

  count(): Promise<number> {
    return this.#store.documents.index.getSize()
  }
}

/** Its documents have fields with types: the id and the indexed member; the rest stays JSON. */
async function programOf(load: Load): Promise<Program> {
  const { field, variant } = await load<{
    field: (options: object) => (prototype: object, name: string) => void
    variant: (name: string) => (type: object) => void
  }>('@dao-xyz/borsh')
  const { Program } = await load<{ Program: new () => object }>('@peerbit/program')
  const { Documents, ...search } = await load<Search & { Documents: new () => Documents & Opening }>(
    '@peerbit/document',
  )

  class StoredPerson {
    declare _id: string
    declare age: number
    declare json: string
  }
  variant('person')(StoredPerson)
  field({ type: 'string' })(StoredPerson.prototype, '_id')
  field({ type: 'u32' })(StoredPerson.prototype, 'age')
  field({ type: 'string' })(StoredPerson.prototype, 'json')

  class People extends Program {
    declare documents: Documents & Opening
    open(args: object): Promise<void> {
      return this.documents.open({ type: StoredPerson, index: { idProperty: '_id' }, ...args })
    }
  }
  // The class must have its name before it has fields.
  variant('people')(People)
  field({ type: Documents })(People.prototype, 'documents')
  return {
    ...search,
    newPerson: (person) =>
      Object.assign(new StoredPerson(), { _id: person._id, age: person.age, json: JSON.stringify(person) }),
    newStore: () => Object.assign(new People(), { documents: new Documents() }),
  }
}

interface Opening {
  open(options: object): Promise<void>
}
