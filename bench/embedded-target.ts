import { randomBytes } from 'node:crypto'
import { createDb, type Database, parseQuery } from 'threads-db/db'
import { createNet, newThreadId, openHostStore, type PrivateKey, silentLogger, systemClock } from 'threads-db/net'
import { addressFromBytes, addressToBytes } from '../src/core/address.ts'
import { threadIdToBytes } from '../src/core/thread-id.ts'
import { threadKeyFromBytes, threadKeyToBytes } from '../src/core/thread-key.ts'
import { COLLECTION, INDEX_PATH, SCHEMA } from './document.ts'
import type { Invitation, Target, TargetDatabase } from './target.ts'

const shared = { clock: systemClock, random: randomBytes, logger: silentLogger }
const collections = [{ name: COLLECTION, schema: SCHEMA, indexes: [{ path: INDEX_PATH }] }]

export interface EmbeddedTarget extends Target {
  /** All databases of the host, in order of creation. */
  list(): Promise<TargetDatabase[]>
}

/** A host in this process, over a repository of its own. */
export async function openEmbedded(location: string, privateKey: PrivateKey): Promise<EmbeddedTarget> {
  const store = await openHostStore({ location, ...shared })
  const net = await createNet({ store, privateKey, ...shared })
  const databases = await createDb({ net, store, ...shared })
  await net.start()
  return {
    name: 'embedded',
    pid: process.pid,
    newDatabase: async () => targetOf(await databases.create(newThreadId('raw', randomBytes), { collections })),
    join: async ({ address, key }) =>
      targetOf(await databases.join(addressFromBytes(address), { key: threadKeyFromBytes(key), collections })),
    list: async () => (await databases.list()).map(targetOf),
    async [Symbol.asyncDispose]() {
      await databases.close()
      await net.stop()
      await store.close()
    },
  }
}

function targetOf(database: Database): TargetDatabase {
  const people = database.collection(COLLECTION)
  return {
    id: threadIdToBytes(database.id),
    create: async (documents) => void (await people.create(documents)),
    save: (documents) => people.save(documents),
    delete: (ids) => people.delete(ids),
    get: (id) => people.findById(id),
    find: (query) => people.find(parseQuery(query)),
    async transaction(documents) {
      const transaction = await database.writeTransaction(COLLECTION)
      for (const document of documents) await transaction.save([document])
      await transaction.commit()
    },
    listen: (signal) => documentsOf(database, signal),
    async invitation(): Promise<Invitation> {
      const { addresses, key } = await database.info()
      const [address] = addresses
      if (address === undefined) throw new Error('the host has no address')
      return { address: addressToBytes(address), key: threadKeyToBytes(key) }
    },
  }
}

async function* documentsOf(database: Database, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const { document } of database.listen([], { signal })) if (document !== undefined) yield document
}
