/**
 * What the embedded database does in a second on this machine, beside the limits of the machine, measured in the same
 * run. The machine may be shared: compare ratios, not figures of different days.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDb, type Database, type Databases } from 'threads-db/db'
import {
  createNet,
  generateKey,
  type Net,
  newThreadId,
  openHostStore,
  type PrivateKey,
  silentLogger,
  systemClock,
} from 'threads-db/net'
import { report, type Row, timed } from './report.ts'

const CREATES = 2_000
const IN_FLIGHT = 64
const BATCH = 500
const DOCUMENTS = 10_000
const FINDS = 200

const shared = { clock: systemClock, random: randomBytes, logger: silentLogger }
const schema = JSON.stringify({ properties: { _id: { type: 'string' }, age: { type: 'number' } } })
const collections = [{ name: 'Person', schema, indexes: [{ path: 'age' }] }]

interface Host extends AsyncDisposable {
  readonly net: Net
  readonly databases: Databases
}

async function open(location: string, privateKey: PrivateKey): Promise<Host> {
  const store = await openHostStore({ location, ...shared })
  const net = await createNet({ store, privateKey, ...shared })
  const databases = await createDb({ net, store, ...shared })
  await net.start()
  return {
    net,
    databases,
    async [Symbol.asyncDispose]() {
      await databases.close()
      await net.stop()
      await store.close()
    },
  }
}

/** A document of 305 bytes, as a person might be stored. */
function person(index: number): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      _id: `person-${String(index).padStart(8, '0')}`,
      name: `Person Number ${index}`,
      age: index % 100,
      email: `person.${index}@example.com`,
      address: { street: `${index % 300} Long Street`, city: 'Springfield', zip: String(10_000 + (index % 90_000)) },
      tags: ['alpha', 'beta', 'gamma'],
      bio: 'x'.repeat(70),
    }),
  )
}

const newDatabase = (host: Host): Promise<Database> =>
  host.databases.create(newThreadId('raw', randomBytes), { collections })

async function creates(host: Host, inFlight: number): Promise<Row> {
  const people = (await newDatabase(host)).collection('Person')
  let next = 0
  const writer = async (): Promise<void> => {
    while (next < CREATES) await people.create([person(next++)])
  }
  const ms = await timed(() => Promise.all(Array.from({ length: inFlight }, writer)))
  return { work: `create one by one, ${inFlight} in flight`, perSecond: CREATES / (ms / 1000) }
}

async function batches(host: Host): Promise<{ row: Row; database: Database }> {
  const database = await newDatabase(host)
  const people = database.collection('Person')
  const ms = await timed(async () => {
    for (let at = 0; at < DOCUMENTS; at += BATCH) {
      await people.create(Array.from({ length: BATCH }, (_, index) => person(at + index)))
    }
  })
  return { row: { work: `create in batches of ${BATCH}, documents`, perSecond: DOCUMENTS / (ms / 1000) }, database }
}

async function finds(database: Database): Promise<Row> {
  const people = database.collection('Person')
  const ms = await timed(async () => {
    for (let age = 0; age < FINDS; age++) {
      const found = await people.find({ ands: [{ path: 'age', operation: 'eq', value: age % 100 }] })
      if (found.length !== DOCUMENTS / 100) throw new Error(`found ${found.length} documents`)
    }
  })
  return { work: `indexed find of ${DOCUMENTS / 100} in ${DOCUMENTS}`, perSecond: FINDS / (ms / 1000) }
}

async function replicate(database: Database, to: Host, work: string): Promise<Row> {
  const { addresses, key } = await database.info()
  const [address] = addresses
  if (address === undefined) throw new Error('the host has no address')
  const ms = await timed(async () => {
    const joined = await to.databases.join(address, { key, collections, block: true })
    const found = await joined.collection('Person').find({})
    if (found.length !== DOCUMENTS) throw new Error(`only ${found.length} documents arrived`)
  })
  return { work, perSecond: DOCUMENTS / (ms / 1000) }
}

async function singles(host: Host): Promise<Database> {
  const database = await newDatabase(host)
  const people = database.collection('Person')
  let next = 0
  const writer = async (): Promise<void> => {
    while (next < DOCUMENTS) await people.create([person(next++)])
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, writer))
  return database
}

async function limits(directory: string): Promise<Row[]> {
  const key = generateKey(randomBytes)
  const message = randomBytes(72)
  const signs = await timed(async () => {
    for (let count = 0; count < CREATES; count++) key.sign(message)
  })
  const store = await openHostStore({ location: join(directory, 'limits'), ...shared })
  const value = randomBytes(1_000)
  const commits = await timed(async () => {
    for (let count = 0; count < CREATES; count++) {
      const operations = (): { type: 'put'; key: Uint8Array; value: Uint8Array }[] => [
        { type: 'put', key: Buffer.from(`h${count}`), value },
      ]
      await store.committer.submit({ thread: 0, heads: [], changes: [], operations })
    }
  })
  await store.close()
  return [
    { work: 'limit: ed25519 signatures', perSecond: CREATES / (signs / 1000) },
    { work: 'limit: synced commits of 1 KB, one by one', perSecond: CREATES / (commits / 1000) },
  ]
}

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'threads-bench-'))
  const keyA = generateKey(randomBytes)
  try {
    const rows = await limits(directory)
    {
      await using a = await open(join(directory, 'a'), keyA)
      rows.push(await creates(a, 1), await creates(a, IN_FLIGHT))
      const { row, database } = await batches(a)
      rows.push(row, await finds(database))
      await using b = await open(join(directory, 'b'), generateKey(randomBytes))
      rows.push(await replicate(database, b, `replicate ${DOCUMENTS} documents, ${BATCH} a record`))
      rows.push(await replicate(await singles(a), b, `replicate ${DOCUMENTS} documents, one a record`))
    }
    const started = performance.now()
    await using again = await open(join(directory, 'a'), keyA)
    await again.databases.list()
    const coldOpenMs = performance.now() - started
    report(rows, { coldOpenMs, memoryMib: process.memoryUsage.rss() / 1024 / 1024 })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

await main()
