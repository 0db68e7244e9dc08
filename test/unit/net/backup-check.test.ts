/** Backups that were damaged, or made up by somebody: nothing of them is served. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { cidOf, decode, encode } from '../../../src/core/cbor.ts'
import { ThreadsError } from '../../../src/core/errors.ts'
import { type BackupFrame, BackupCheck } from '../../../src/net/index.ts'
import { decodeLogRow } from '../../../src/net/rows.ts'
import { isBeingRestored } from '../../../src/store/format.ts'
import { openHostStore } from '../../../src/store/host-store.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { framesOf, openStory, restored } from '../../support/backups.ts'
import { startHost } from '../../support/host.ts'

/** Of a database with two logs of the host and its peer, and one that is forked. */
let frames: BackupFrame[]
let main: number
let branch: number
/** The id of another record. */
const OTHER = cidOf(new Uint8Array([0x60])).bytes

beforeAll(async () => {
  const [host, peer] = [await startHost(), await startHost()]
  const { foreign } = await openStory(host, peer)
  frames = await Array.fromAsync(host.net.backup())
  for (const each of [host, peer]) await each[Symbol.asyncDispose]()
  const logs = framesOf(frames, 'log').map(({ row, chain }) => decodeLogRow(Number(chain?.number), row))
  main = logs.find(({ id, branch: point }) => id === foreign.id && point === undefined)?.number ?? 0
  branch = logs.find(({ branch: point }) => point !== undefined)?.number ?? 0
}, 60_000)

function check(given: readonly BackupFrame[]): BackupCheck {
  const all = new BackupCheck()
  for (const frame of given) all.take(frame)
  return all
}

type Row = Record<string, unknown>

/** The frames with the row of a chain changed, and what stands beside it. */
function withLog(number: number, change: (row: Row) => Row, beside: Row = {}): BackupFrame[] {
  return frames.map((frame) => {
    if (frame.$case !== 'log' || frame.value.chain?.number !== BigInt(number)) return frame
    const row = encode(change(decode(frame.value.row) as Row))
    return { $case: 'log', value: { ...frame.value, row, chain: { ...frame.value.chain, ...beside } } }
  })
}

function withThread(change: (row: Row) => Row): BackupFrame[] {
  return frames.map((frame) => {
    if (frame.$case !== 'thread') return frame
    return { $case: 'thread', value: { ...frame.value, row: encode(change(decode(frame.value.row) as Row)) } }
  })
}

function withRecords(
  number: number,
  change: (
    value: ReturnType<typeof framesOf<'records'>>[number],
  ) => Partial<ReturnType<typeof framesOf<'records'>>[number]>,
): BackupFrame[] {
  return frames.map((frame) => {
    if (frame.$case !== 'records' || frame.value.number !== BigInt(number)) return frame
    return { $case: 'records', value: { ...frame.value, ...change(frame.value) } }
  })
}

it('a good backup is taken', () => {
  expect(check(frames).ended).toBe(true)
  expect([main, branch].every((number) => number > 0)).toBe(true)
})

describe('refused are', () => {
  it.each<[string, () => BackupFrame[], RegExp]>([
    ['no beginning', () => frames.slice(1), /does not begin/],
    ['two beginnings', () => [...frames.slice(0, 1), ...frames], /does not begin/],
    ['frames behind the end', () => [...frames, ...frames.slice(-1)], /behind its end/],
    [
      'rows behind records',
      () => [...frames.slice(0, -1), ...frames.filter(({ $case }) => $case === 'thread')],
      /a row behind the first records/,
    ],
    [
      'a newer format',
      () => frames.map((f) => (f.$case === 'begin' ? { ...f, value: { ...f.value, format: 2 } } : f)),
      /newer version/,
    ],
    ['a thread twice', () => twice('thread'), /there twice/],
    ['a log twice', () => twice('log'), /there twice|out of order/],
    ['a log of no thread', () => frames.filter(({ $case }) => $case !== 'thread'), /of no thread/],
    ['records of no log', () => frames.filter(({ $case }) => $case !== 'log'), /a log that is not there/],
    ['the same records twice', () => twice('records'), /stands in its place/],
    ['records that are missing', () => frames.filter(({ $case }) => $case !== 'records'), /is missing/],
    [
      'a first record that is missing',
      () => withRecords(1, ({ first, records }) => ({ first: first + 1n, records: records.slice(1) })),
      /stands in its place/,
    ],
    [
      'a record that is missing',
      () => withRecords(1, ({ records }) => ({ records: records.toSpliced(3, 1) })),
      /record 4 of log .*: it does not name the one before it/,
    ],
    [
      'a last record that is missing',
      () => withRecords(1, ({ records }) => ({ records: records.slice(0, -1) })),
      /missing/,
    ],
    [
      'a body of another record',
      () =>
        withRecords(1, ({ records }) => ({
          records: records.map((blocks, at) => ({
            ...blocks,
            bodyNode: records[at === 5 ? 6 : at]?.bodyNode ?? blocks.bodyNode,
          })),
        })),
      /record 6 of log/,
    ],
    [
      'an envelope with another byte',
      () =>
        withRecords(1, ({ records }) => ({
          records: records.map((blocks, at) =>
            at === 2 ? { ...blocks, recordNode: flipped(blocks.recordNode) } : blocks,
          ),
        })),
      /record 3 of log/,
    ],
    [
      'another head',
      () => withLog(1, ({ counter, ...row }) => ({ ...row, counter: Number(counter) - 1 })),
      /stands beside it/,
    ],
    [
      'a log of another key',
      () => withLog(1, (row) => ({ ...row, publicKey: generateKey(randomBytes).publicKey.encoded, attestation: null })),
      /not signed by the log/,
    ],
    [
      'a head that is no record of the log',
      () => withLog(1, (row) => ({ ...row, head: OTHER, attestation: null }), { head: OTHER }),
      /it is not the head/,
    ],
    [
      'an attestation of another log',
      () => withLog(1, (row) => ({ ...row, attestation: new Uint8Array(64) })),
      /attestation does not hold/,
    ],
    ['a cursor behind the head', () => withLog(1, (row) => ({ ...row, cursor: 1_000_000 })), /contradict/],
    ['a cursor that is no number', () => withLog(1, (row) => ({ ...row, cursor: 'x' })), /no numbers/],
    ['a time that is none', () => withLog(1, (row) => ({ ...row, cursorTime: 'x' })), /damaged/],
    [
      'a branch of no chain',
      () => withLog(branch, (row) => ({ ...row, branch: { base: 2, parent: 'x' } })),
      /parts from/,
    ],
    [
      'a thread of another id',
      () => withThread((row) => ({ ...row, id: (row['id'] as Uint8Array).map((b, i) => (i > 3 ? b ^ 1 : b)) })),
      /another thread/,
    ],
    ['a service key that is none', () => withThread((row) => ({ ...row, serviceKey: new Uint8Array(5) })), /no keys/],
    ['another service key', () => withThread((row) => ({ ...row, serviceKey: randomBytes(32) })), /record 1 of log/],
    ['followers that are no peers', () => withThread((row) => ({ ...row, followers: ['x'] })), /row of thread/],
    [
      'a thread that is no map',
      () => frames.map((f) => (f.$case === 'thread' ? { ...f, value: { ...f.value, row: encode(7) } } : f)),
      /damaged/,
    ],
    [
      'an id of a thread of a megabyte',
      () =>
        frames.map((f) => (f.$case === 'thread' ? { ...f, value: { ...f.value, threadID: new Uint8Array(1e6) } } : f)),
      /id of a thread/,
    ],
  ])('%s', (_title, change, message) => {
    const changed = change()
    expect(() => {
      if (!check(changed).ended) throw new ThreadsError('INVALID_BACKUP', 'is missing')
    }).toThrow(expect.objectContaining({ code: 'INVALID_BACKUP', message: expect.stringMatching(message) }))
  })
})

function twice(kind: BackupFrame['$case']): BackupFrame[] {
  return frames.flatMap((frame) => (frame.$case === kind ? [frame, frame] : [frame]))
}

function flipped(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => (at === bytes.length - 3 ? byte ^ 0xff : byte))
}

it('a private key in a backup is not taken', () => {
  const key = generateKey(randomBytes)
  const given = withLog(main, (row) => ({
    ...row,
    privateKey: key.encoded,
    unpulled: true,
    managed: true,
    retired: false,
  }))
  const log = [...check(given).chains].find((chain) => chain.log.number === main)?.log
  expect(log).toMatchObject({ privateKey: undefined, unpulled: false, managed: true, retired: true })
})

it('a branch that does not follow the chain it parts from is found when all is there', async () => {
  const row = framesOf(frames, 'log').find(({ chain }) => chain?.number === BigInt(branch))
  const base = Number(row?.chain?.base) - 1
  const moved = withLog(
    branch,
    (log) => ({ ...log, branch: { ...(log['branch'] as Row), base }, counter: base + 1, cursor: base }),
    {
      base: BigInt(base),
      counter: BigInt(base + 1),
    },
  )
  const given = moved.map((frame): BackupFrame => {
    if (frame.$case === 'log' && frame.value.chain?.number === BigInt(branch)) {
      return { $case: 'log', value: { ...frame.value, after: BigInt(base) } }
    }
    if (frame.$case === 'records' && frame.value.number === BigInt(branch)) {
      return { $case: 'records', value: { ...frame.value, first: BigInt(base + 1) } }
    }
    return frame
  })
  await expect(restored(given)).rejects.toMatchObject({ message: expect.stringContaining('does not follow the chain') })
})

it('a store is not opened before its restore has ended', async () => {
  const store = await openMemoryStore()
  await expect(restored(frames.slice(0, -2), store)).rejects.toMatchObject({ code: 'INVALID_BACKUP' })
  expect(await isBeingRestored(store)).toBe(true)
  const options = { open: async () => store, clock: systemClock, random: randomBytes, logger: silentLogger }
  await expect(openHostStore(options)).rejects.toMatchObject({
    code: 'STORE_CORRUPT',
    message: expect.stringContaining('cut off'),
  })
})

it('rows with anything in them are refused, or taken: nothing else is thrown', () => {
  const value = fc.oneof(
    fc.integer(),
    fc.string(),
    fc.constant(null),
    fc.boolean(),
    fc.uint8Array(),
    fc.array(fc.oneof(fc.string(), fc.integer(), fc.uint8Array(), fc.array(fc.string()))),
    fc.record({ base: fc.integer(), parent: fc.string() }),
  )
  const members = [
    'id',
    'serviceKey',
    'readKeys',
    'phase',
    'unsolicited',
    'keptFor',
    'writers',
    'app',
    'stale',
    'followers',
  ]
  const ofLogs = [
    'head',
    'bytes',
    'branch',
    'cursor',
    'counter',
    'managed',
    'retired',
    'unpulled',
    'addresses',
    'publicKey',
  ]
  const others = ['cursorTime', 'privateKey', 'attestation']
  const change = fc.record({
    thread: fc.boolean(),
    member: fc.constantFrom(...members, ...ofLogs, ...others),
    number: fc.constantFrom(1, main, branch),
    value,
  })
  fc.assert(
    fc.property(change, ({ thread, member, number, value: put }) => {
      const given = thread
        ? withThread((row) => ({ ...row, [member]: put }))
        : withLog(number, (row) => ({ ...row, [member]: put }))
      try {
        check(given)
      } catch (error) {
        if (!(error instanceof ThreadsError) || error.code !== 'INVALID_BACKUP') throw error
      }
    }),
    { numRuns: 300 },
  )
})
