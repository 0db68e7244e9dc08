import { beforeEach, describe, expect, it } from 'vitest'
import { isAttested } from '../../../src/core/attestation.ts'
import { encode } from '../../../src/core/cbor.ts'
import { identityOf } from '../../../src/core/identity.ts'
import type { LogId } from '../../../src/core/peer-id.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import { prepareRecord } from '../../../src/net/append.ts'
import type { PeerLog } from '../../../src/net/replica.ts'
import { LogMaker, type MadeRecord, random } from '../../support/log-maker.ts'
import { type NetCore, openCore } from '../../support/net-core.ts'

let core: NetCore
let id: ThreadId
let log: LogMaker

beforeEach(async () => {
  core = await openCore()
  log = new LogMaker()
  id = newThreadId('raw', random)
  await core.membership.create(id, { key: log.threadKey })
  await core.replica.addLogs(id, [log.asPeerLog()], log.id)
})

function receive(records: readonly MadeRecord[]): Promise<unknown> {
  const blocks = records.map((record) => record.blocks)
  return core.replica.receive({ threadId: id, logId: log.id, records: blocks, from: log.id })
}

function told(logId: LogId): PeerLog {
  const found = core.replica.log(id, logId)
  if (found === undefined) throw new Error('the log is not here')
  return found
}

/** Writes a record to the log of this host. */
async function append(): Promise<LogId> {
  const { result, stored } = await core.writer.write(core.entry(id), async (draft) => {
    const own = core.membership.ownLog(draft, {})
    const options = { body: encode({}), author: identityOf(own.publicKey), key: draft.state.key }
    const made = prepareRecord(own, { ...options, random, maxRecordBytes: 10_000 })
    draft.addRecord(own.id, made.cid, made.blocks)
    return own.id
  })
  await stored
  return result
}

describe('the head of a log', () => {
  it('is attested where the log is written, each once', async () => {
    const own = await append()
    const before = core.replica.attested(id, told(own))
    const { publicKey, head, attestation } = before
    if (publicKey === undefined || head === undefined || attestation === undefined)
      throw new Error('something is missing')
    expect(isAttested(publicKey, { threadId: id, logId: own, counter: 1, head }, attestation)).toBe(true)
    expect(core.replica.attested(id, told(own)).attestation).toBe(attestation)
    await append()
    expect(core.replica.attested(id, told(own)).attestation).not.toEqual(attestation)
  })

  it('is not attested for what was told before, nor where the log may be longer elsewhere', async () => {
    const own = await append()
    const old = told(own)
    await append()
    expect(core.replica.attested(id, old)).toBe(old)
    const unpulled = await core.writer.write(core.entry(id), async (draft) => {
      draft.setLog({ ...draft.log(own), unpulled: true })
    })
    await unpulled.stored
    expect(core.replica.attested(id, told(own)).attestation).toBeUndefined()
  })

  it('of another host is told with the attestation that came with it', async () => {
    log.next(1)
    const [first] = log.records as [MadeRecord]
    await receive([first])
    expect(core.replica.attested(id, told(log.id)).attestation).toBeUndefined()
    const attestation = log.attest(id, 1, first)
    await core.replica.receive({ threadId: id, logId: log.id, records: [first.blocks], attestation, from: log.id })
    expect(told(log.id).attestation).toEqual(attestation.signature)
  })
})

describe('a log of several chains', () => {
  let fork: MadeRecord[]

  beforeEach(async () => {
    log.next(40)
    await receive(log.records)
    fork = [log.make({ prev: log.records[9]?.cid ?? null })]
    for (let count = 0; count < 4; count++) fork.push(log.make({ prev: fork.at(-1)?.cid ?? null }))
    await receive(fork)
  })

  it('shows its main chain as the log, and the heads of the others apart', () => {
    expect(core.replica.logs(id)).toHaveLength(2)
    expect(told(log.id)).toMatchObject({ counter: 40 })
    expect(core.replica.branchHeads(id).get(log.id)).toEqual([fork.at(-1)?.cid])
    const { heads, chains } = core.replica.edges(id)
    expect([heads, chains].includes(0n)).toBe(false)
    expect(heads === chains).toBe(false)
  })

  it('is seen as far as it is held', async () => {
    const seen = async (...held: (MadeRecord | undefined)[]): Promise<unknown> => {
      const chains = await core.replica.chains(
        id,
        log.id,
        held.flatMap((record) => record?.cid ?? []),
      )
      return chains.map(({ counter, after }) => [counter, after])
    }
    expect(await seen()).toEqual([
      [40, undefined],
      [15, undefined],
    ])
    expect(await seen(log.make())).toEqual([
      [40, undefined],
      [15, undefined],
    ])
    expect(await seen(log.records[39])).toEqual([
      [40, 40],
      [15, 10],
    ])
    expect(await seen(fork[4])).toEqual([
      [40, 10],
      [15, 15],
    ])
    expect(await seen(fork[1], log.records[20])).toEqual([
      [40, 21],
      [15, 12],
    ])
    expect(await seen(log.records[3])).toEqual([
      [40, 4],
      [15, 4],
    ])
  })

  it('hands out a branch with what is before it', async () => {
    const [, branch] = await core.replica.chains(id, log.id, [])
    if (branch === undefined) throw new Error('there is no branch')
    const all = [...log.records.slice(0, 10), ...fork].map((record) => record.blocks)
    const after = (counter: number, maxRecords: number, maxBytes = 1e6): Promise<unknown> =>
      core.replica.recordsAfter(id, branch.chain, { counter, maxRecords, maxBytes })
    expect(await after(0, 100)).toEqual(all)
    expect(await after(8, 4)).toEqual(all.slice(8, 12))
    expect(await after(8, 4, 1)).toEqual(all.slice(8, 9))
    expect(await after(12, 100)).toEqual(all.slice(12))
  })

  it('is marked ever less towards its start', async () => {
    const marks = await core.replica.waymarks(id, log.id)
    const places = await Promise.all(marks.map((cid) => core.replica.counterOf(id, log.id, cid)))
    expect(places).toEqual([39, 38, 36, 32, 24, 8, 14, 13, 11])
  })
})
