import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { newThreadId } from '../../src/core/thread-id.ts'
import type { CollectionConfig, Database } from '../../src/db/index.ts'
import { startHost, type TestHost } from '../support/host.ts'

const CONFIG: CollectionConfig = {
  name: 'Note',
  schema: JSON.stringify({ properties: { _id: { type: 'string' }, a: { type: 'number' }, b: { type: 'number' } } }),
  indexes: [{ path: 'a' }],
}
const EDITED = 200
const TIMEOUT_MS = 30_000

const hosts: TestHost[] = []
const encode = (document: object): Uint8Array => Buffer.from(JSON.stringify(document))
const ids = Array.from({ length: EDITED }, (_, index) => `note-${index}`)

async function open(): Promise<TestHost> {
  const host = await startHost()
  hosts.push(host)
  return host
}

async function joinFrom(host: TestHost, from: Database, config: CollectionConfig = CONFIG): Promise<Database> {
  const { addresses, key } = await from.info()
  const [address] = addresses
  if (address === undefined) throw new Error('the host has no address')
  return host.databases.join(address, { key, collections: [config], block: true })
}

async function all(database: Database): Promise<string[]> {
  const documents = await database.collection('Note').find({})
  return documents.map((document) => Buffer.from(document).toString())
}

async function edit(database: Database, member: string, rounds = 3): Promise<void> {
  const notes = database.collection('Note')
  for (let round = 1; round <= rounds; round++) {
    await Promise.all(
      ids.map(async (id) => {
        const document = JSON.parse(Buffer.from(await notes.findById(id)).toString()) as object
        await notes.save([encode({ ...document, [member]: round, shared: `${member}${round}` })])
      }),
    )
  }
}

async function expectEqual(databases: readonly Database[]): Promise<void> {
  const [first, ...others] = databases
  if (first === undefined) return
  for (const other of others) {
    await expect
      .poll(async () => JSON.stringify(await all(other)) === JSON.stringify(await all(first)), { timeout: TIMEOUT_MS })
      .toBe(true)
  }
  for (const database of databases) {
    const byIndex = await database.collection('Note').find({ ands: [{ path: 'a', operation: 'eq', value: 3 }] })
    expect(byIndex).toHaveLength(EDITED)
  }
}

afterEach(async () => {
  for (const host of hosts.splice(0)) await host[Symbol.asyncDispose]()
})

describe('hosts that edit the same documents', () => {
  it.each([
    ['at once', 0],
    ['at once, the second a little earlier', 1],
  ])('%s end equal', async (_title, first) => {
    const [a, b] = [await open(), await open()]
    const ofA = await a.databases.create(newThreadId('raw', randomBytes), { collections: [CONFIG] })
    await ofA.collection('Note').create(ids.map((id) => encode({ _id: id, a: 0, b: 0 })))
    const ofB = await joinFrom(b, ofA)
    expect(await all(ofB)).toEqual(await all(ofA))
    const edits = [
      [ofA, 'a'],
      [ofB, 'b'],
    ] as const
    await Promise.all((first === 0 ? edits : edits.toReversed()).map(([database, member]) => edit(database, member)))
    await expectEqual([ofA, ofB])
  })

  it('apart from each other end equal once they meet, and so does one who joins later', async () => {
    let [a, b] = [await open(), await open()]
    const id = newThreadId('raw', randomBytes)
    const ofA = await a.databases.create(id, { collections: [CONFIG] })
    await ofA.collection('Note').create(ids.map((each) => encode({ _id: each, a: 0, b: 0 })))
    const ofB = await joinFrom(b, ofA)
    hosts.length = 0
    a = await a.restart(async () => edit(ofB, 'b'))
    hosts.push(a)
    b = await b.restart(async () => edit(await a.databases.get(id), 'a'))
    hosts.push(b)
    const [againA, againB] = [await a.databases.get(id), await b.databases.get(id)]
    await expectEqual([againA, againB])
    const ofC = await joinFrom(await open(), againA)
    await expectEqual([againA, againB, ofC])
  })
})

describe('a record without effect', () => {
  it('is listed and does not stop its log', async () => {
    const [a, b] = [await open(), await open()]
    const ofA = await a.databases.create(newThreadId('raw', randomBytes), { collections: [CONFIG] })
    const refuseOdd = { ...CONFIG, writeValidator: "return event.patch.json_patch.a % 2 === 0 || 'odd'" }
    const ofB = await joinFrom(b, ofA, refuseOdd)
    for (const n of [0, 1, 2]) await ofA.collection('Note').create([encode({ _id: `n${n}`, a: n })])
    await expect.poll(() => ofB.collection('Note').has(['n2']), { timeout: TIMEOUT_MS }).toBe(true)
    expect(await ofB.collection('Note').has(['n1'])).toBe(false)
    expect(await ofB.refusals()).toMatchObject([
      { counter: 2, reason: 'app denied net record body: odd', documents: [{ collection: 'Note', id: 'n1' }] },
    ])
  })
})
