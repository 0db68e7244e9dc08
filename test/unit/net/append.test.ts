import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { decode, encode } from '../../../src/core/cbor.ts'
import { openBody } from '../../../src/core/event-block.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { checkLinks, openRecord, verifyRecord } from '../../../src/core/record.ts'
import { prepareRecord, recordBytes } from '../../../src/net/append.ts'
import { emptyLog, type LogState } from '../../../src/net/rows.ts'
import { LogMaker } from '../../support/log-maker.ts'

const made = new LogMaker()
const author = identityOf(new LogMaker().key.publicKey)
const body = encode({ name: 'Ada' })
const options = { body, author, key: made.threadKey, maxRecordBytes: 1_000, random: randomBytes }

const empty: LogState = { ...emptyLog(1, made.key.publicKey), privateKey: made.key, managed: true }

describe('the next record of a log', () => {
  it('is the first of an empty log, and follows the head of another', () => {
    const first = prepareRecord(empty, options)
    const second = prepareRecord({ ...empty, head: { counter: 1, cid: first.cid } }, options)
    expect([first.counter, second.counter]).toEqual([1, 2])
    const opened = [first, second].map(({ blocks }) => openRecord(blocks.recordNode, made.threadKey.service))
    expect(opened.map(({ prev }) => prev?.toString())).toEqual([undefined, first.cid.toString()])
    expect(opened.map(({ cid }) => cid.toString())).toEqual([first.cid.toString(), second.cid.toString()])
  })

  it('is signed, linked, and holds author and body', () => {
    const { blocks, eventCid } = prepareRecord(empty, options)
    const record = openRecord(blocks.recordNode, made.threadKey.service)
    verifyRecord(record, made.key.publicKey)
    checkLinks(record, blocks)
    expect(record.block.equals(eventCid)).toBe(true)
    expect(decode(openBody(blocks, made.threadKey.read))).toEqual({ name: 'Ada' })
  })

  it('of the same body is another one each time', () => {
    expect(prepareRecord(empty, options).cid.equals(prepareRecord(empty, options).cid)).toBe(false)
  })

  it('needs the private key of the log and the read key of the thread', () => {
    const { service } = made.threadKey
    expect(() => prepareRecord({ ...empty, privateKey: undefined }, options)).toThrow(
      expect.objectContaining({ code: 'PRIVATE_KEY_REQUIRED', message: 'a private-key is required to create records' }),
    )
    expect(() => prepareRecord(empty, { ...options, key: { service } })).toThrow(
      expect.objectContaining({ code: 'READ_KEY_REQUIRED', message: 'a read-key is required to create records' }),
    )
  })

  it('is refused over its limit, and taken at it', () => {
    const bytes = recordBytes(prepareRecord(empty, options).blocks)
    expect(recordBytes(prepareRecord(empty, { ...options, maxRecordBytes: bytes }).blocks)).toBe(bytes)
    expect(() => prepareRecord(empty, { ...options, maxRecordBytes: bytes - 1 })).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    )
  })
})
