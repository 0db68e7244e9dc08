import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { peerAddress } from '../../../src/core/address.ts'
import { decode, encode } from '../../../src/core/cbor.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import {
  decodeLogRow,
  decodeRecordRow,
  decodeThreadRow,
  encodeLogRow,
  encodeRecordRow,
  encodeThreadRow,
  type LogState,
  readRecordIdKey,
  readRecordKey,
  recordIdKey,
  recordIdRange,
  recordRowKey,
  type ThreadState,
  threadOf,
} from '../../../src/net/rows.ts'
import { newPeer } from '../../support/fake-replica.ts'
import { LogMaker, random } from '../../support/log-maker.ts'

const made = new LogMaker()
made.next(2)

function logState(changes: Partial<LogState> = {}): LogState {
  const head = made.records.at(-1)
  return {
    number: 7,
    id: made.id,
    chain: made.id,
    branch: undefined,
    publicKey: made.key.publicKey,
    privateKey: made.key,
    managed: true,
    addresses: [peerAddress(made.id)],
    head: { counter: 2, cid: head?.cid },
    attestation: undefined,
    cursor: { counter: 1, time: 2n ** 63n - 1n },
    unpulled: true,
    retired: true,
    bytes: 700,
    row: {},
    ...changes,
  }
}

function threadState(changes: Partial<ThreadState> = {}): ThreadState {
  const row = {
    number: 3,
    id: newThreadId('raw', randomBytes),
    key: made.threadKey,
    phase: 'live' as const,
    unsolicited: false,
    keptFor: undefined,
    writers: new Map([[identityOf(made.key.publicKey), made.id]]),
    appData: { collections: ['dogs'] },
    stale: false,
    followers: [newPeer().id],
    row: {},
  }
  return { ...threadOf(row, new Map()), ...changes }
}

/** A row as a later version of this program may write it. */
function withMember(row: Uint8Array, members: Record<string, unknown>): Uint8Array {
  return encode({ ...(decode(row) as object), ...members })
}

function parts(log: LogState): unknown {
  const { publicKey, privateKey, row: _, ...rest } = log
  return { ...rest, publicKey: publicKey.encoded, privateKey: privateKey?.encoded }
}

describe('the row of a log', () => {
  it('says all that is known of the log', () => {
    for (const log of [logState(), logState({ privateKey: undefined, unpulled: false, managed: false })]) {
      expect(parts(decodeLogRow(7, encodeLogRow(log)))).toEqual(parts(log))
    }
  })

  it('is canonical, and holds nothing that its log does not say', () => {
    for (const branch of [undefined, { parent: made.id, base: 3 }]) {
      const row = encodeLogRow(logState({ branch, attestation: randomBytes(64) }))
      expect(encode(decode(row))).toEqual(row)
      expect(decodeLogRow(7, row).row).toEqual({})
    }
  })

  it('says that a log is empty', () => {
    const head = { counter: 0, cid: undefined }
    expect(decodeLogRow(7, encodeLogRow(logState({ head }))).head).toEqual(head)
  })

  it('keeps members that this version does not know', () => {
    const later = withMember(encodeLogRow(logState()), { device: 'phone', slices: [1, { of: 2 }] })
    const log = decodeLogRow(7, later)
    const rewritten = encodeLogRow({ ...log, head: { counter: 9, cid: log.head.cid } })
    expect(decode(rewritten)).toMatchObject({ device: 'phone', slices: [1, { of: 2 }], counter: 9 })
  })

  it('of an older version needs no pull', () => {
    const { unpulled: _, ...older } = decode(encodeLogRow(logState())) as Record<string, unknown>
    expect(decodeLogRow(7, encode(older)).unpulled).toBe(false)
  })

  it('is refused as damaged when it cannot be read', () => {
    const row = encodeLogRow(logState())
    for (const bad of [row.subarray(0, -1), encode({}), encode('text'), withMember(row, { publicKey: 'none' })]) {
      expect(() => decodeLogRow(7, bad)).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }))
    }
  })
})

describe('the row of a thread', () => {
  it('says all that is known of the thread', () => {
    const {
      logs: _,
      latestTime: _time,
      bytes: _bytes,
      peers: _peers,
      row: _row,
      ...thread
    } = threadState({ unsolicited: true, keptFor: made.id })
    const { row: _decoded, ...decoded } = decodeThreadRow(3, encodeThreadRow({ ...thread, row: {} }))
    expect(decoded).toEqual(thread)
  })

  it('tells a thread without read key and owner', () => {
    const thread = threadState({ key: { service: made.threadKey.service }, appData: undefined })
    const decoded = decodeThreadRow(3, encodeThreadRow(thread))
    expect(decoded.key).toEqual({ service: made.threadKey.service })
    expect(decoded.appData).toBeUndefined()
  })

  it('keeps members and read keys that this version does not know', () => {
    const further = random(32)
    const row = encodeThreadRow(threadState())
    const keys = { readKeys: [made.threadKey.read, further] }
    const thread = decodeThreadRow(3, withMember(row, { ...keys, members: { ada: 'owner' } }))
    expect(thread.key).toEqual(made.threadKey)
    const rewritten = decode(encodeThreadRow({ ...thread, unsolicited: true }))
    expect(rewritten).toMatchObject({ ...keys, members: { ada: 'owner' }, unsolicited: true })
  })

  it('is refused as damaged when it cannot be read', () => {
    const row = encodeThreadRow(threadState())
    for (const bad of [row.subarray(1), encode({}), withMember(row, { id: new Uint8Array(2) })]) {
      expect(() => decodeThreadRow(3, bad)).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }))
    }
  })
})

describe('the state of a thread', () => {
  it('tells the latest time and the peers of its logs', () => {
    const other = new LogMaker()
    const logs = new Map([
      [made.id, logState({ cursor: { counter: 1, time: 5n } })],
      [other.id, logState({ id: other.id, cursor: { counter: 1, time: 9n }, addresses: [peerAddress(other.id)] })],
    ])
    const thread = threadOf(threadState(), logs)
    expect(thread.latestTime).toBe(9n)
    expect([...thread.peers()]).toEqual([made.id, other.id])
    expect(thread.peers()).toBe(thread.peers())
  })
})

describe('the row of a record', () => {
  const [blocks] = made.blocks()
  if (blocks === undefined) throw new Error('there is no record')

  it('holds the blocks, the time and the commit', () => {
    const row = encodeRecordRow(blocks, 1_700_000_000_123.7, 42)
    expect(decodeRecordRow(row)).toEqual(blocks)
    const view = new DataView(row.buffer)
    expect([view.getBigUint64(0), view.getBigUint64(8)]).toEqual([1_700_000_000_123n, 42n])
  })

  it('holds empty blocks, and a time before 1970 as none', () => {
    const empty = { ...blocks, bodyNode: new Uint8Array(0), eventNode: new Uint8Array(0) }
    const row = encodeRecordRow(empty, -5, 1)
    expect(decodeRecordRow(row)).toEqual(empty)
    expect(new DataView(row.buffer).getBigUint64(0)).toBe(0n)
  })

  it('is refused as damaged at any other length', () => {
    const row = encodeRecordRow(blocks, 0, 1)
    for (const bad of [new Uint8Array(0), row.subarray(0, 20), row.subarray(0, -1), new Uint8Array([...row, 0])]) {
      expect(() => decodeRecordRow(bad)).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }))
    }
  })

  it('is found by its place and by its id', () => {
    expect(readRecordKey(recordRowKey(1, 2, 300))).toEqual({ thread: 1, log: 2, counter: 300 })
    const cid = made.records[0]?.cid
    if (cid === undefined) throw new Error('there is no record')
    const key = recordIdKey(cid, 1, 2, 300)
    expect(readRecordIdKey(key)).toEqual({ log: 2, counter: 300 })
    const { gte, lt } = recordIdRange(cid.multihash.digest, 1)
    expect(Buffer.compare(gte, key) <= 0 && Buffer.compare(key, lt) < 0).toBe(true)
    const ofOther = recordIdKey(cid, 2, 2, 300)
    expect(Buffer.compare(ofOther, lt) < 0 && Buffer.compare(gte, ofOther) <= 0).toBe(false)
  })
})
