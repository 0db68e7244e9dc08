import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { generateKey } from '../../../src/core/keys.ts'
import type { RecordBlocks } from '../../../src/core/record.ts'
import { alignRun, type OpenedRecord, openRun, verifyRun } from '../../../src/net/check-run.ts'
import { LogMaker } from '../../support/log-maker.ts'

const MAX_RECORD_BYTES = 10_000
const log = new LogMaker()
log.next(6)

function open(blocks: readonly RecordBlocks[]): ReturnType<typeof openRun> {
  return openRun(blocks, { serviceKey: log.threadKey.service, maxRecordBytes: MAX_RECORD_BYTES })
}

function opened(from = 0, to?: number): readonly OpenedRecord[] {
  return open(log.blocks(from, to)).records
}

function cidOf(counter: number): NonNullable<(typeof log.records)[number]>['cid'] {
  const record = log.records[counter - 1]
  if (record === undefined) throw new Error(`there is no record ${counter}`)
  return record.cid
}

function signedBy(signer: LogMaker, after: number): OpenedRecord {
  const [record] = open([log.make({ prev: cidOf(after), signer: signer.key }).blocks]).records
  if (record === undefined) throw new Error('the record does not open')
  return record
}

describe('opening a run', () => {
  it('takes good records as they are', () => {
    const { records, fault } = open(log.blocks())
    expect(fault).toBeUndefined()
    expect(records.map(({ record }) => record.cid.toString())).toEqual(log.records.map(({ cid }) => cid.toString()))
    expect(records.map(({ blocks }) => blocks)).toEqual(log.blocks())
  })

  it('ends before the first bad record, whatever is wrong with it', () => {
    const [first, second, third] = log.blocks() as [RecordBlocks, RecordBlocks, RecordBlocks]
    const elsewhere = new LogMaker().make().blocks
    const bad: [string, RecordBlocks][] = [
      ['TOO_LARGE', log.make({ body: randomBytes(MAX_RECORD_BYTES) }).blocks],
      ['INVALID_RECORD', elsewhere],
      ['INVALID_RECORD', { ...second, eventNode: third.eventNode }],
      ['INVALID_RECORD', { ...second, headerNode: third.headerNode }],
      ['INVALID_RECORD', { ...second, bodyNode: third.bodyNode }],
      ['INVALID_RECORD', { ...second, recordNode: second.eventNode }],
      ['INVALID_RECORD', { ...second, recordNode: new Uint8Array(0) }],
      ['INVALID_RECORD', { ...second, bodyNode: randomBytes(40) }],
    ]
    for (const [code, blocks] of bad) {
      const { records, fault } = open([first, blocks, third])
      expect([records.length, fault?.code]).toEqual([1, code])
    }
  })

  it('counts all blocks of a record towards its size', () => {
    const [blocks] = log.next()
    if (blocks === undefined) throw new Error('there is no record')
    const bytes = Object.values(blocks).reduce((sum, block) => sum + block.length, 0)
    const options = { serviceKey: log.threadKey.service }
    expect(openRun([blocks], { ...options, maxRecordBytes: bytes }).records).toHaveLength(1)
    expect(openRun([blocks], { ...options, maxRecordBytes: bytes - 1 }).fault?.code).toBe('TOO_LARGE')
    log.records.pop()
  })
})

describe('a run towards the head of a log', () => {
  it('continues it in every overlap', () => {
    for (let head = 0; head < 6; head++) {
      for (let from = 0; from <= head; from++) {
        expect(alignRun(opened(from), head === 0 ? undefined : cidOf(head))).toEqual({
          kind: 'continues',
          index: head - from,
        })
      }
    }
  })

  it('is known when it ends at the head, or is empty', () => {
    expect(alignRun(opened(), cidOf(6))).toEqual({ kind: 'known' })
    expect(alignRun(opened(5), cidOf(6))).toEqual({ kind: 'known' })
    expect(alignRun([], cidOf(6))).toEqual({ kind: 'known' })
    expect(alignRun([], undefined)).toEqual({ kind: 'known' })
  })

  it('is detached when it begins after the head or ends before it', () => {
    expect(alignRun(opened(2), undefined)).toEqual({ kind: 'detached' })
    expect(alignRun(opened(3), cidOf(2))).toEqual({ kind: 'detached' })
    expect(alignRun(opened(0, 3), cidOf(5))).toEqual({ kind: 'detached' })
  })
})

describe('verifying a run', () => {
  const key = log.key.publicKey

  it('takes a chain whose last record is signed', () => {
    expect(verifyRun(opened(), key)).toEqual({ records: opened(), fault: undefined })
    expect(verifyRun(opened(3), key).records).toHaveLength(3)
    expect(verifyRun([], key)).toEqual({ records: [], fault: undefined })
  })

  it('ends where the chain breaks', () => {
    const [a, b, , d] = opened() as [OpenedRecord, OpenedRecord, OpenedRecord, OpenedRecord]
    expect(verifyRun([a, b, d], key)).toMatchObject({ records: [a, b], fault: { code: 'BROKEN_CHAIN' } })
    expect(verifyRun([a, b, b], key)).toMatchObject({ records: [a, b], fault: { code: 'BROKEN_CHAIN' } })
    expect(verifyRun([a, b, a], key)).toMatchObject({ records: [a, b], fault: { code: 'BROKEN_CHAIN' } })
  })

  it('drops records at the end that are not signed by the log', () => {
    const stranger = new LogMaker(log.threadKey)
    const records = [...opened(0, 2), signedBy(stranger, 2)]
    expect(verifyRun(records, key)).toMatchObject({ records: records.slice(0, 2), fault: { code: 'BAD_SIGNATURE' } })
  })

  it('takes nothing of a run that another key signed', () => {
    const stranger = generateKey(randomBytes).publicKey
    expect(verifyRun(opened(1), stranger)).toMatchObject({ records: [], fault: { code: 'BAD_SIGNATURE' } })
  })

  it('takes a record with a bad signature when the log signed one after it', () => {
    const forged = log.make({ prev: cidOf(6), signer: generateKey(randomBytes) })
    const after = log.make({ prev: forged.cid })
    const records = open([...log.blocks(), forged.blocks, after.blocks]).records
    expect(verifyRun(records, key)).toEqual({ records, fault: undefined })
  })
})
