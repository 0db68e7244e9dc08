/** What a client was answered is there after the process was killed; a transaction is there as a whole or not at all. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Client } from '../../examples/demo/client.ts'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'

const COLLECTION = 'Item'
const TRANSACTION = 25
const WRITERS = 4
const KILLS = 4

const schema = { properties: { _id: { type: 'string' }, transaction: { type: 'string' } } }

interface Item {
  _id: string
  transaction: string
}

/** Writes transactions until the daemon is gone; answers the names of those that were acknowledged. */
async function writeUntilKilled(client: Client, dbID: Uint8Array, writer: string): Promise<string[]> {
  const acknowledged: string[] = []
  for (let count = 0; ; count++) {
    const transaction = `${writer}-${count}`
    const items = Array.from({ length: TRANSACTION }, (_, index) => ({ _id: `${transaction}-${index}`, transaction }))
    try {
      await client.create(dbID, COLLECTION, items)
    } catch {
      return acknowledged
    }
    acknowledged.push(transaction)
  }
}

async function readAll(client: Client, dbID: Uint8Array): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const text of await client.find(dbID, COLLECTION, {})) {
    const { transaction } = JSON.parse(text) as Item
    counts.set(transaction, (counts.get(transaction) ?? 0) + 1)
  }
  return counts
}

describe('a daemon killed at random moments', () => {
  it.each(['full', 'relaxed'])('has lost nothing and torn nothing (durability %s)', async (durability) => {
    await using daemon: TestDaemon = await startDaemon({ flags: { durability } })
    const client = new Client(daemon.grpcAddress)
    const dbID = Buffer.concat([Uint8Array.of(0x01, 0x55), randomBytes(32)])
    await client.newDb(dbID, 'crash', [{ name: COLLECTION, schema, indexes: [{ path: 'transaction' }] }])
    const delays = fc.sample(fc.integer({ min: 20, max: 400 }), KILLS)
    const acknowledged: string[] = []
    for (const [round, delayMs] of delays.entries()) {
      const writers = Array.from({ length: WRITERS }, (_, index) =>
        writeUntilKilled(client, dbID, `${durability}-${round}-${index}`),
      )
      // The moment is random; what follows does not depend on it.
      const killed = new Promise((resolve) => setTimeout(resolve, delayMs)).then(() => daemon.kill('SIGKILL'))
      const names = await Promise.all(writers)
      acknowledged.push(...names.flat())
      await killed
      await daemon.restart()
      const counts = await readAll(client, dbID)
      expect(acknowledged.filter((name) => counts.get(name) !== TRANSACTION)).toEqual([])
      expect([...counts.values()].filter((count) => count !== TRANSACTION)).toEqual([])
      const query = { ands: [{ fieldPath: 'transaction', operation: 0, value: { string: acknowledged.at(-1) ?? '' } }] }
      expect(await client.find(dbID, COLLECTION, query)).toHaveLength(acknowledged.length === 0 ? 0 : TRANSACTION)
    }
    client.close()
  })
})
