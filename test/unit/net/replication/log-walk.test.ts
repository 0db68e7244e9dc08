import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { CID } from 'multiformats/cid'
import { cidOf, encode } from '../../../../src/core/cbor.ts'
import { generateKey } from '../../../../src/core/keys.ts'
import { type RecordBlocks, sealRecord } from '../../../../src/core/record.ts'
import { walkLog } from '../../../../src/net/replication/log-walk.ts'
import { blocksOf } from '../../../support/block-peer.ts'
import { FakeReplica } from '../../../support/fake-replica.ts'

function logOf(count: number) {
  const replica = new FakeReplica()
  const serviceKey = randomBytes(32)
  const threadId = replica.addThread({ service: serviceKey })
  const logId = replica.addOwnLog(threadId)
  for (let at = 0; at < count; at++) replica.append(threadId, logId)
  const records = replica.threads.get(threadId)?.logs.get(logId)?.records ?? []
  const cids = records.map(({ cid }) => cid)
  return { replica, serviceKey, records, cids, blocks: records.map((record) => record.blocks) }
}

async function walk(
  replica: FakeReplica,
  options: { from: CID | undefined; to: CID | undefined; serviceKey: Uint8Array },
): Promise<RecordBlocks[]> {
  const { from, to, serviceKey } = options
  if (from === undefined) throw new Error('nowhere to begin')
  const session = await blocksOf(new Map([[replica.hostId, replica]])).open(replica.hostId)
  const records: RecordBlocks[] = []
  for await (const some of walkLog(session, { from, to, serviceKey })) records.push(...some)
  return records
}

describe('a walk along a log', () => {
  it.each([0, 1, 16, 17, 50])(
    'brings the %i records between ours and the one it begins with, oldest first',
    async (count) => {
      const { replica, serviceKey, cids, blocks } = logOf(5 + count)
      const found = await walk(replica, { from: cids.at(-1), to: cids[4], serviceKey })
      expect(found).toEqual(blocks.slice(5))
    },
  )

  it('brings the log from its start where there is nothing of it, or it does not lead to ours', async () => {
    const { replica, serviceKey, cids, blocks } = logOf(20)
    expect(await walk(replica, { from: cids[17], to: undefined, serviceKey })).toEqual(blocks.slice(0, 18))
    expect(await walk(replica, { from: cids[17], to: cids[18], serviceKey })).toEqual(blocks.slice(0, 18))
  })

  it('ends at a record that the service key does not open', async () => {
    const { replica, cids } = logOf(3)
    const walking = walk(replica, { from: cids[2], to: undefined, serviceKey: randomBytes(32) })
    await expect(walking).rejects.toMatchObject({ code: 'INVALID_RECORD' })
  })

  it('ends when what it holds is too much', async () => {
    const { serviceKey } = logOf(0)
    const logKey = generateKey(randomBytes)
    // Whoever writes a log may put what he likes where the public key of the author belongs.
    const author = { ...logKey.publicKey, encoded: randomBytes(3 * 1024 * 1024) }
    const envelopes: Uint8Array[] = []
    for (let prev: CID | undefined; envelopes.length < 30; ) {
      const event = cidOf(encode(envelopes.length))
      const sealed = sealRecord({ event, ...(prev && { prev }), logKey, author, serviceKey, random: randomBytes })
      envelopes.unshift(sealed.recordNode)
      prev = sealed.cid
    }
    const [newest = new Uint8Array()] = envelopes
    let asked = 0
    const session = { fetch: async () => envelopes.slice(asked, ++asked), close: () => {} }
    const walking = walkLog(session, { from: cidOf(newest), to: undefined, serviceKey }).next()
    await expect(walking).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(asked).toBeLessThan(25)
  })

  it('ends where the peer lacks a block', async () => {
    const { replica, serviceKey, cids, records } = logOf(3)
    records.splice(1, 1)
    const walking = walk(replica, { from: cids[2], to: undefined, serviceKey })
    await expect(walking).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' })
  })
})
