import { join } from 'node:path'
import type { Peer, PeerDatabase, PeerHost, Person } from './peer.ts'

interface Pouch {
  put(document: object): Promise<unknown>
  bulkDocs(documents: readonly object[]): Promise<unknown>
  get(id: string): Promise<unknown>
  info(): Promise<{ doc_count: number }>
  createIndex(options: object): Promise<unknown>
  find(query: object): Promise<{ docs: unknown[] }>
  close(): Promise<void>
}

interface PouchClass {
  new (path: string): Pouch
  plugin(plugin: unknown): void
  replicate(from: Pouch, to: Pouch): PromiseLike<unknown>
}

export const pouchdb: Peer = {
  name: 'PouchDB 9',
  packages: ['pouchdb-node@9', 'pouchdb-find@9'],
  notes:
    'not signed, not encrypted; LevelDB without sync, which it has no setting for: a write may be lost with the power.',
  async open(load, directory) {
    const { default: PouchDB } = await load<{ default: PouchClass }>('pouchdb-node')
    PouchDB.plugin((await load<{ default: unknown }>('pouchdb-find')).default)
    const all: Pouch[] = []
    const open = (): Pouch => {
      const pouch = new PouchDB(join(directory, `db-${all.length}`))
      all.push(pouch)
      return pouch
    }
    const host: PeerHost = {
      async create() {
        const pouch = open()
        await pouch.createIndex({ index: { fields: ['age'] } })
        return new PouchDatabase(pouch)
      },
      async copy(database) {
        const pouch = open()
        await PouchDB.replicate((database as PouchDatabase).pouch, pouch)
        return new PouchDatabase(pouch)
      },
      async close() {
        for (const pouch of all) await pouch.close()
      },
    }
    return host
  },
}

class PouchDatabase implements PeerDatabase {
  readonly pouch: Pouch

  constructor(pouch: Pouch) {
    this.pouch = pouch
  }

  put(person: Person): Promise<unknown> {
    return this.pouch.put(person)
  }

  putMany(people: readonly Person[]): Promise<unknown> {
    return this.pouch.bulkDocs(people)
  }

  get(id: string): Promise<unknown> {
    return this.pouch.get(id)
  }

  async find(age: number): Promise<number> {
    return (await this.pouch.find({ selector: { age }, limit: 1_000 })).docs.length
  }

  async count(): Promise<number> {
    // The index is a document too.
    return (await this.pouch.info()).doc_count - 1
  }
}
