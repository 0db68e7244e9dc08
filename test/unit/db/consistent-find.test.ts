import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { openLevelStore } from '../../../src/store/level-store.ts'
import { startHost } from '../../support/host.ts'

const COUNT = 2_000
const FAR = 1_000_000
const schema = JSON.stringify({ properties: { _id: { type: 'string' }, rank: { type: 'number' } } })
const encode = (document: object): Uint8Array => Buffer.from(JSON.stringify(document))

it('a query answers one state, while documents move in the index it reads', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'find-'))
  const backend = await openLevelStore({ location: directory })
  const host = await startHost({ net: { pull: false }, backend })
  const collections = [{ name: 'Item', schema, indexes: [{ path: 'rank' }] }]
  const items = (await host.databases.create(newThreadId('raw', randomBytes), { collections })).collection('Item')
  const documents = Array.from({ length: COUNT }, (_, rank) => ({ _id: `item-${rank}`, rank }))
  await items.create(documents.map(encode))
  const found = new AbortController()
  const mover = (async () => {
    for (let round = 0; !found.signal.aborted; round++) {
      // All of the index go to its end, and back.
      const shift = round % 2 === 0 ? FAR : 0
      await items.save(documents.map(({ _id, rank }) => encode({ _id, rank: rank + shift })))
    }
  })()
  for (let count = 0; count < 40; count++) {
    const answered = await items.find({ ands: [{ path: 'rank', operation: 'ge', value: FAR }] })
    expect([0, COUNT]).toContain(answered.length)
  }
  found.abort()
  await mover
  await host[Symbol.asyncDispose]()
  await backend.close()
  await rm(directory, { recursive: true })
})

it('a read transaction does without an index that was built after it began', async () => {
  await using host = await startHost({ net: { pull: false } })
  const collection = { name: 'Item', schema, indexes: [] }
  const database = await host.databases.create(newThreadId('raw', randomBytes), { collections: [collection] })
  await database.collection('Item').create([encode({ _id: 'a', rank: 1 })])
  const transaction = await database.readTransaction('Item')
  await database.updateCollection({ ...collection, indexes: [{ path: 'rank' }] })
  const query = { ands: [{ path: 'rank', operation: 'eq', value: 1 }] } as const
  expect(await transaction.find(query)).toHaveLength(1)
  await transaction.close()
  expect(await database.collection('Item').find(query)).toHaveLength(1)
})
