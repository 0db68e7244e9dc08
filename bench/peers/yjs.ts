import { join } from 'node:path'
import type { Peer, PeerDatabase, PeerHost, Person } from './peer.ts'

interface YMap {
  readonly size: number
  set(key: string, value: object): void
  get(key: string): unknown
}

interface YDoc {
  getMap(name: string): YMap
  transact(change: () => void): void
  on(event: 'update', listener: (update: Uint8Array) => void): void
}

interface Yjs {
  Doc: new () => YDoc
  applyUpdate(doc: YDoc, update: Uint8Array): void
  encodeStateAsUpdate(doc: YDoc): Uint8Array
}

interface Persistence {
  storeUpdate(name: string, update: Uint8Array): Promise<unknown>
  destroy(): Promise<void>
}

interface Level {
  put(key: unknown, value: unknown, options?: object): Promise<void>
}

const NAME = 'people'

export const yjs: Peer = {
  name: 'Yjs with y-leveldb',
  packages: ['yjs@13', 'y-leveldb@0.2', 'level@8'],
  notes:
    'not signed, not encrypted; LevelDB with sync, set here; all documents in memory; no indexes. Its copy gets one update with the whole state, within the process.',
  async open(load, directory) {
    const { Level: Base } = await load<{ Level: new (...options: unknown[]) => Level }>('level')
    const { LeveldbPersistence } = await load<{
      LeveldbPersistence: new (path: string, options: object) => Persistence
    }>('y-leveldb')
    const yjsModule = await load<Yjs>('yjs')
    class SyncedLevel extends Base {
      override put(key: unknown, value: unknown, options?: object): Promise<void> {
        return super.put(key, value, { ...options, sync: true })
      }
    }
    const persistence = new LeveldbPersistence(join(directory, 'yjs'), { Level: SyncedLevel })
    let documents = 0
    const open = (): YDatabase => new YDatabase(new yjsModule.Doc(), persistence, `${NAME}-${documents++}`)
    const host: PeerHost = {
      create: async () => open(),
      async copy(database) {
        const copy = open()
        const update = yjsModule.encodeStateAsUpdate((database as YDatabase).doc)
        await copy.stored(() => yjsModule.applyUpdate(copy.doc, update))
        return copy
      },
      close: () => persistence.destroy(),
    }
    return host
  },
}

class YDatabase implements PeerDatabase {
  readonly doc: YDoc
  readonly #people: YMap
  #stored: Promise<unknown> = Promise.resolve()

  constructor(doc: YDoc, persistence: Persistence, name: string) {
    this.doc = doc
    this.#people = doc.getMap(NAME)
    doc.on('update', (update) => {
      this.#stored = persistence.storeUpdate(name, update)
    })
  }

  /** Makes a change, and waits until the update that it makes is stored. */
  async stored(change: () => void): Promise<void> {
    change()
    await this.#stored
  }

  put(person: Person): Promise<void> {
    return this.stored(() => this.#people.set(person._id, person))
  }

  putMany(people: readonly Person[]): Promise<void> {
    return this.stored(() => {
      this.doc.transact(() => {
        for (const person of people) this.#people.set(person._id, person)
      })
    })
  }

  async get(id: string): Promise<unknown> {
    return this.#people.get(id)
  }

  async count(): Promise<number> {
    return this.#people.size
  }
}
