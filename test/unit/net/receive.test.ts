import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Identity, identityOf } from '../../../src/core/identity.ts'
import type { RecordBlocks } from '../../../src/core/record.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import type { Receipt } from '../../../src/net/replica.ts'
import type { LogState } from '../../../src/net/rows.ts'
import { LogMaker } from '../../support/log-maker.ts'
import { type NetCore, NotingApp, openCore } from '../../support/net-core.ts'

const MAX_RECORD_BYTES = 1_024
const MAX_RECEIVED_RECORD_BYTES = 2_000

let core: NetCore
let log: LogMaker
let id: ThreadId

beforeEach(async () => {
  core = await openCore({
    net: { maxRecordBytes: MAX_RECORD_BYTES, maxReceivedRecordBytes: MAX_RECEIVED_RECORD_BYTES },
  })
  log = new LogMaker()
  id = newThreadId('raw', randomBytes)
  await core.membership.create(id, { key: log.threadKey })
  await core.replica.addLogs(id, [log.asPeerLog(log.id)], log.id)
})

function receive(records: readonly RecordBlocks[], of: LogMaker = log): Promise<Receipt> {
  return core.replica.receive({ threadId: id, logId: of.id, records, from: log.id })
}

/** The log as the store has it: what peers would be sent. */
async function held(of: LogMaker = log): Promise<RecordBlocks[]> {
  const found = await core.replica.recordsAfter(id, of.id, { counter: 0, maxRecords: 10_000, maxBytes: 1e9 })
  expect(core.replica.log(id, of.id)?.counter).toBe(found.length)
  return found
}

describe('received records', () => {
  it('are stored in the order of their log, and the head is the last', async () => {
    const blocks = log.next(5)
    expect(await receive(blocks)).toEqual({ stored: 5, counter: 5, gap: false })
    expect(await held()).toEqual(blocks)
    expect(core.replica.log(id, log.id)?.head?.equals(log.records[4]?.cid)).toBe(true)
  })

  it('are passed over in every overlap with what is here', async () => {
    log.next(4)
    for (let head = 0; head <= 4; head++) {
      const other = new LogMaker(log.threadKey)
      const blocks = other.next(4)
      await core.replica.addLogs(id, [other.asPeerLog()], log.id)
      if (head > 0) await receive(blocks.slice(0, head), other)
      for (let from = 0; from <= head; from++) {
        for (let to = from; to <= head; to++) {
          expect(await receive(blocks.slice(from, to), other)).toEqual({ stored: 0, counter: head, gap: false })
        }
      }
      for (let from = head; from >= 0; from--) {
        const { stored, counter, gap } = await receive(blocks.slice(from), other)
        expect([stored, counter, gap]).toEqual([from === head ? 4 - head : 0, 4, false])
      }
      expect(await held(other)).toEqual(blocks)
    }
  })

  it('after a gap are left out, and asked for', async () => {
    const blocks = log.next(5)
    await receive(blocks.slice(0, 1))
    expect(await receive(blocks.slice(2))).toEqual({ stored: 0, counter: 1, gap: true })
    expect(await held()).toEqual(blocks.slice(0, 1))
    expect(await receive(blocks)).toMatchObject({ stored: 4, counter: 5 })
  })

  it('in the middle of an empty log are a gap', async () => {
    log.next(3)
    expect(await receive(log.blocks(1))).toEqual({ stored: 0, counter: 0, gap: true })
  })

  it('are taken up to the first bad one, which is named', async () => {
    const [a, b, c] = log.next(3) as [RecordBlocks, RecordBlocks, RecordBlocks]
    const large = { ...c, bodyNode: randomBytes(MAX_RECEIVED_RECORD_BYTES) }
    await expect(receive([a, b, large])).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(await held()).toEqual([a, b])
    await expect(receive([b, { ...c, headerNode: b.headerNode }])).rejects.toMatchObject({ code: 'INVALID_RECORD' })
    await expect(receive([new LogMaker().make().blocks])).rejects.toMatchObject({ code: 'INVALID_RECORD' })
    expect(await held()).toEqual([a, b])
    expect(await receive([c])).toMatchObject({ stored: 1, counter: 3 })
  })

  it('may be larger than those written here', async () => {
    const { blocks } = log.make({ body: new Uint8Array(MAX_RECORD_BYTES) })
    expect(await receive([blocks])).toEqual({ stored: 1, counter: 1, gap: false })
    expect(await held()).toEqual([blocks])
  })

  it('are taken up to where the chain breaks', async () => {
    const blocks = log.next(4)
    const broken = [...blocks.slice(0, 2), ...blocks.slice(3)]
    await expect(receive(broken)).rejects.toMatchObject({ code: 'BROKEN_CHAIN' })
    expect(await held()).toEqual(blocks.slice(0, 2))
  })

  it('are taken up to the last that the log signed', async () => {
    const blocks = log.next(2)
    const forged = log.make({ signer: new LogMaker().key }).blocks
    await expect(receive([...blocks, forged])).rejects.toMatchObject({ code: 'BAD_SIGNATURE' })
    expect(await held()).toEqual(blocks)
    await expect(receive([forged])).rejects.toMatchObject({ code: 'BAD_SIGNATURE' })
    expect(await held()).toEqual(blocks)
  })

  it('of another branch leave the first one as it is', async () => {
    const blocks = log.next(3)
    await receive(blocks)
    const branch = log.make({ prev: log.records[0]?.cid ?? null })
    const further = log.make({ prev: branch.cid })
    expect(await receive([further.blocks])).toMatchObject({ stored: 0, gap: true })
    expect(await receive([...log.blocks(0, 1), branch.blocks])).toEqual({ stored: 1, counter: 3, gap: false })
    expect(await held()).toEqual(blocks)
  })

  it('may be a first record alone; another first record is dropped then', async () => {
    const [first] = log.next()
    expect(await receive(log.blocks())).toEqual({ stored: 1, counter: 1, gap: false })
    const other = log.make({ prev: null })
    expect(await receive([other.blocks])).toEqual({ stored: 0, counter: 1, gap: false, dropped: true })
    expect(await held()).toEqual([first])
  })

  it('of a log that is not here are refused', async () => {
    const stranger = new LogMaker(log.threadKey)
    await expect(receive(stranger.next(), stranger)).rejects.toMatchObject({ code: 'LOG_NOT_FOUND' })
  })

  it('of no number change nothing', async () => {
    expect(await receive([])).toEqual({ stored: 0, counter: 0, gap: false })
  })

  it('come in thousands, over any head and with a bad one at the end', async () => {
    const blocks = log.next(1_200)
    await receive(blocks.slice(0, 100))
    expect(await receive(blocks)).toEqual({ stored: 1_100, counter: 1_200, gap: false })
    const more = log.next(100)
    const bad = log.make({ signer: new LogMaker().key }).blocks
    await expect(receive([...blocks, ...more, bad])).rejects.toMatchObject({ code: 'BAD_SIGNATURE' })
    expect(await held()).toEqual([...blocks, ...more])
    expect(core.faulty.batches.every(({ operations }) => operations.length <= 2_100)).toBe(true)
  })

  it('are told as taken only once they are stored, also those that were on their way already', async () => {
    const [first] = log.next() as [RecordBlocks]
    const stall = core.faulty.stallBatch(1)
    const answers: string[] = []
    const once = receive([first]).then(() => answers.push('first'))
    await stall.reached
    const again = receive([first]).then(() => answers.push('again'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(answers).toEqual([])
    expect(core.replica.log(id, log.id)?.counter).toBe(0)
    stall.release()
    await Promise.all([once, again])
    expect(await held()).toEqual([first])
  })

  it('of several logs come at once, in any order, while the host writes', async () => {
    const logs = Array.from({ length: 4 }, () => new LogMaker(log.threadKey))
    await core.replica.addLogs(
      id,
      logs.map((each) => each.asPeerLog()),
      log.id,
    )
    const receiving = logs.flatMap((each) => {
      const blocks = each.next(9)
      return [0, 3, 6].map((from) => receive(blocks.slice(0, from + 3), each))
    })
    const entry = core.entry(id)
    const writing = Array.from({ length: 10 }, () => core.writer.write(entry, async (draft) => draft.setThread({})))
    await Promise.all([...receiving, ...writing])
    for (const each of logs) expect(await held(each)).toEqual(each.blocks())
  })
})

describe('a log written here', () => {
  const caller = (): { identity: Identity } => ({ identity: identityOf(log.key.publicKey) })
  const state = (): LogState | undefined => core.entry(id).stored.logs.get(log.id)

  /** The log a write of the caller goes to. */
  async function ownLog(): Promise<LogState> {
    const { result, stored } = await core.writer.write(core.entry(id), async (draft) =>
      core.membership.ownLog(draft, caller()),
    )
    await stored
    return result
  }

  beforeEach(async () => {
    await core.membership.create(id, { key: log.threadKey, logKey: log.key, caller: caller() })
    await receive(log.next(3))
  })

  it('takes a longer version of itself, and goes on from there', async () => {
    await receive(log.next(2))
    expect(await ownLog()).toMatchObject({ id: log.id, retired: false, head: { counter: 5 } })
  })

  it('is written no more once it was continued elsewhere as well; its writer gets a new one', async () => {
    const branch = [log.make({ prev: log.records[1]?.cid ?? null })]
    for (let count = 0; count < 3; count++) branch.push(log.make({ prev: branch.at(-1)?.cid ?? null }))
    const run = [...log.blocks(0, 2), ...branch.map(({ blocks }) => blocks)]
    expect(await receive(run)).toMatchObject({ stored: 4, counter: 3 })
    expect(await held()).toEqual(log.blocks())
    expect(state()?.retired).toBe(true)
    core = await core.restart()
    expect(state()?.retired).toBe(true)
    const next = await ownLog()
    expect(next).toMatchObject({ retired: false, head: { counter: 0 } })
    expect(next.id).not.toBe(log.id)
    expect((await ownLog()).id).toBe(next.id)
  })

  it('is not given up for branches that it did not sign', async () => {
    const forged = log.make({ prev: log.records[1]?.cid ?? null, signer: new LogMaker().key })
    await expect(receive([forged.blocks])).rejects.toMatchObject({ code: 'BAD_SIGNATURE' })
    const replayed = log.make({ prev: null })
    expect(await receive([replayed.blocks])).toMatchObject({ stored: 0, dropped: true })
    expect(state()?.retired).toBe(false)
  })
})

describe('a bad log', () => {
  it('stops no other', async () => {
    const other = new LogMaker(log.threadKey)
    await core.replica.addLogs(id, [other.asPeerLog()], log.id)
    const forged = log.make({ signer: other.key }).blocks
    const results = await Promise.allSettled([receive([forged]), receive(other.next(3), other)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(await held(other)).toEqual(other.blocks())
  })

  it('whose records cannot be folded is stored all the same, and folded later', async () => {
    const app = new NotingApp()
    const entry = core.entry(id)
    entry.app = app
    const other = new LogMaker(log.threadKey)
    await core.replica.addLogs(id, [other.asPeerLog()], log.id)
    app.check = ({ logId }) => {
      if (logId === log.id) throw new TypeError('a fault of the fold')
    }
    expect(await receive(log.next(2))).toEqual({ stored: 2, counter: 2, gap: false })
    expect(await receive(other.next(2), other)).toEqual({ stored: 2, counter: 2, gap: false })
    expect(await receive(log.next(1))).toEqual({ stored: 1, counter: 3, gap: false })
    expect(app.folded.map(({ logId }) => logId)).toEqual([other.id, other.id])
    expect(entry.waits.get(log.id)).toEqual({ kind: 'retry', alone: false })
    app.check = () => {}
    core.clock.advance(5_000)
    await expect.poll(() => app.folded.map(({ counter }) => counter)).toEqual([1, 2, 1, 2, 3])
    expect(entry.waits.size).toBe(0)
  })
})
