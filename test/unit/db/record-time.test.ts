import * as fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { expect, it } from 'vitest'
import { peerIdToBytes } from '../../../src/core/peer-id.ts'
import { timeOfRecord } from '../../../src/db/record-time.ts'
import type { RecordPlace, ThreadRecord } from '../../../src/net/index.ts'
import type { PlainRecord } from '../../support/fold-oracle.ts'
import { bodies } from '../../support/fold-stories.ts'
import { bodyOf, digestOf, FoldWorld, foldRecordOf, logNumbered, writerNamed } from '../../support/fold-world.ts'

const logId = logNumbered(1)
const cidOf = (digest: Uint8Array): CID => CID.createV1(0x71, Digest.create(0x12, digest))

/** Folds the records of a log, and looks for the time of each. */
async function check(contents: PlainRecord['body'][]): Promise<void> {
  const world = new FoldWorld()
  const records: ThreadRecord[] = []
  const times: bigint[] = []
  for (const [index, body] of contents.entries()) {
    const digest = digestOf(`${index}`)
    const plain = { log: peerIdToBytes(logId), counter: index + 1, digest, writer: 'ann', body }
    const folded = foldRecordOf(plain, times.at(-1) ?? 0n)
    await world.fold([folded])
    times.push(folded.position.time)
    const prev = records.at(-1)?.cid
    const place = { logId, chain: logId, counter: index + 1, cid: cidOf(digest), author: writerNamed('ann') }
    records.push({ ...place, ...(prev === undefined ? {} : { prev }), body: bodyOf(plain) } as ThreadRecord)
  }
  const record = async ({ counter }: RecordPlace): Promise<ThreadRecord> => records[counter - 1] as ThreadRecord
  for (const [index, { cid }] of records.entries()) {
    const place = { logId, counter: index + 1, digest: cid.multihash.digest }
    expect(await timeOfRecord(place, { state: world, record })).toBe(times[index])
  }
}

it('the time of a record is that of its events or of a record before it, whatever those say', async () => {
  await fc.assert(fc.asyncProperty(fc.array(bodies, { minLength: 1, maxLength: 12 }), check), { numRuns: 200 })
})

it('reads one record and one page where writers stamp upward', async () => {
  const world = new FoldWorld()
  const event = { type: 'save', collection: 'Dog', id: 'x', patch: '{"_id":"x"}' } as const
  let last: ThreadRecord | undefined
  for (let counter = 1; counter <= 100; counter++) {
    const digest = digestOf(`${counter}`)
    const body = [{ ...event, timestamp: BigInt(counter) }]
    const plain = { log: peerIdToBytes(logId), counter, digest, writer: 'ann', body }
    await world.fold([foldRecordOf(plain, 0n)])
    last = { logId, counter, cid: cidOf(digest), author: writerNamed('ann'), body: bodyOf(plain) } as ThreadRecord
  }
  world.historyReads = 0
  let reads = 0
  const record = async (): Promise<ThreadRecord> => {
    reads++
    return last as ThreadRecord
  }
  const place = { logId, counter: 100, digest: digestOf('100') }
  expect(await timeOfRecord(place, { state: world, record })).toBe(100n)
  expect([reads, world.historyReads]).toEqual([1, 1])
})
