import { randomBytes } from '../../src/core/crypto.ts'
import { generateKey } from '../../src/core/keys.ts'
import { openEmbedded } from '../embedded-target.ts'
import { ofAge } from '../rows/reads.ts'
import type { TargetDatabase } from '../target.ts'
import type { Peer, PeerDatabase, PeerHost, Person } from './peer.ts'

/** This project, in the same rows. */
export const ours: Peer = {
  name: 'threads-db',
  packages: [],
  notes: 'signed, encrypted; LevelDB with sync.',
  async open(_, directory) {
    const target = await openEmbedded(directory, generateKey(randomBytes))
    const host: PeerHost = {
      create: async () => new OurDatabase(await target.newDatabase()),
      copy: async (database) =>
        new OurDatabase(await target.join(await (database as OurDatabase).database.invitation())),
      close: async () => target[Symbol.asyncDispose](),
    }
    return host
  },
}

class OurDatabase implements PeerDatabase {
  readonly database: TargetDatabase

  constructor(database: TargetDatabase) {
    this.database = database
  }

  put(person: Person): Promise<void> {
    return this.putMany([person])
  }

  putMany(people: readonly Person[]): Promise<void> {
    return this.database.create(people.map((person) => Buffer.from(JSON.stringify(person))))
  }

  get(id: string): Promise<unknown> {
    return this.database.get(id)
  }

  async find(age: number): Promise<number> {
    return (await this.database.find(Buffer.from(JSON.stringify(ofAge(age))))).length
  }

  async count(): Promise<number> {
    return (await this.database.find(Buffer.from('{}'))).length
  }
}
