import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { identityOf } from '../../../src/core/identity.ts'
import type { ThreadRecord } from '../../../src/net/index.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import type { Attestation, Receipt } from '../../../src/net/replica.ts'
import type { LogState } from '../../../src/net/rows.ts'
import { LogMaker, type MadeRecord } from '../../support/log-maker.ts'
import { type NetCore, NotingApp, openCore } from '../../support/net-core.ts'

const NOBODY = identityOf(new LogMaker().key.publicKey)

let core: NetCore
let log: LogMaker
let id: ThreadId
let app: NotingApp

beforeEach(async () => {
  core = await openCore({ net: { maxLogs: 4 } })
  log = new LogMaker()
  id = newThreadId('raw', randomBytes)
  await core.membership.create(id, { key: log.threadKey })
  await core.replica.addLogs(id, [log.asPeerLog(log.id)], log.id)
  app = new NotingApp()
  core.entry(id).app = app
})

function receive(records: readonly MadeRecord[], attestation?: Attestation): Promise<Receipt> {
  const run = { threadId: id, logId: log.id, from: log.id, attestation }
  return core.replica.receive({ ...run, records: records.map(({ blocks }) => blocks) })
}

/** The chains of the log, the main one first. */
function chains(): LogState[] {
  return [...core.entry(id).stored.logs.values()].filter((each) => each.id === log.id)
}

/** Heads of the chains, by the name their record has in `names`. */
function heads(names: Record<string, MadeRecord>): (string | undefined)[] {
  const nameOf = ({ head }: LogState) => Object.entries(names).find(([, { cid }]) => head.cid?.equals(cid))?.[0]
  return chains().map(nameOf)
}

function cids(records: readonly Pick<ThreadRecord, 'cid'>[]): string[] {
  return records.map(({ cid }) => cid.toString())
}

/** What the owner holds: all it folded, without what was withdrawn. */
function folded(): string[] {
  const withdrawn = app.contexts.flatMap((context) => cids(context.withdrawn ?? []))
  return cids(app.folded).filter((cid) => !withdrawn.includes(cid))
}

/** A record after another one, which is not the last of the log. */
function after(record: MadeRecord | undefined): MadeRecord {
  return log.make({ prev: record?.cid ?? null })
}

describe('another envelope of a record', () => {
  it('is dropped, and no fork', async () => {
    log.next(3)
    await receive(log.records)
    const [, second, third] = log.records as [MadeRecord, MadeRecord, MadeRecord]
    for (const other of [log.envelope(second), log.envelope(third)]) {
      expect(await receive([other])).toMatchObject({ stored: 0, counter: 3, gap: false, dropped: true })
    }
    expect(heads({ third })).toEqual(['third'])
  })

  it('of the head takes its place when a record follows it, and is folded in its place', async () => {
    log.next(3)
    await receive(log.records)
    const third = log.records[2] as MadeRecord
    const other = log.envelope(third)
    const fourth = after(other)
    expect(await receive([fourth])).toMatchObject({ stored: 0, gap: true })
    expect(await receive([...log.records.slice(0, 2), other, fourth])).toMatchObject({ stored: 2, counter: 4 })
    expect(heads({ fourth })).toEqual(['fourth'])
    expect(folded()).toEqual(cids([...log.records.slice(0, 2), other, fourth]))
    expect(await core.replica.counterOf(id, log.id, third.cid)).toBeUndefined()
    expect(await core.replica.counterOf(id, log.id, other.cid)).toBe(3)
  })

  it('of the head takes its place when it is attested, unless the head is too: then it is a fork', async () => {
    log.next(2)
    await receive(log.records)
    const second = log.records[1] as MadeRecord
    const [other, third] = [log.envelope(second), log.envelope(second)]
    await receive([other], log.attest(id, 1, other))
    await receive([other], { ...log.attest(id, 2, other), signature: new LogMaker().attest(id, 2, other).signature })
    expect(heads({ second })).toEqual(['second'])
    expect(await receive([other], log.attest(id, 2, other))).toMatchObject({ stored: 1, counter: 2 })
    expect(heads({ other })).toEqual(['other'])
    await receive([third], log.attest(id, 2, third))
    expect(heads({ other, third })).toEqual(['other', 'third'])
    expect(folded()).toEqual(cids([log.records[0] as MadeRecord, other, third]))
  })

  it('that is followed is a branch beside one that is followed too', async () => {
    log.next(3)
    await receive(log.records)
    const [first, second, third] = log.records as [MadeRecord, MadeRecord, MadeRecord]
    const other = log.envelope(second)
    const fork = after(other)
    await receive([first, other, fork])
    expect(heads({ third, fork })).toEqual(['third', 'fork'])
    expect(folded()).toEqual(cids([first, second, third, other, fork]))
  })
})

describe('a first record', () => {
  it('alone makes room for another that a second vouches for, and is withdrawn', async () => {
    const forged = after(undefined)
    await receive([forged])
    log.next(2)
    expect(await receive(log.records)).toMatchObject({ stored: 2, counter: 2 })
    expect(folded()).toEqual(cids(log.records))
    expect(app.contexts.at(-1)?.cursors.get(log.id)).toEqual({ counter: 0, time: 0n })
    expect(chains()).toHaveLength(1)
  })

  it('alone makes room for one that is attested, once', async () => {
    await receive([after(undefined)])
    const [first, other] = [after(undefined), after(undefined)]
    await receive([first], log.attest(id, 1, first))
    expect(folded()).toEqual(cids([first]))
    for (let count = 0; count < 3; count++) await receive([after(undefined)])
    expect(heads({ first })).toEqual(['first'])
    await receive([other, after(other)])
    expect(chains().map(({ branch }) => branch)).toEqual([undefined, { parent: log.id, base: 0 }])
  })

  it('that was not folded yet is replaced without more ado', async () => {
    core.entry(id).app = undefined
    await receive([after(undefined)])
    log.next(2)
    expect(await receive(log.records)).toMatchObject({ stored: 2, counter: 2 })
  })

  it('stays while nobody can fold, or the owner cannot withdraw it now', async () => {
    const forged = after(undefined)
    await receive([forged])
    log.next(2)
    core.entry(id).app = undefined
    expect(await receive(log.records)).toMatchObject({ stored: 0, counter: 1 })
    expect(heads({ forged })).toEqual(['forged'])
    core.entry(id).app = app
    expect(await receive(log.records)).toMatchObject({ stored: 2, counter: 2 })
  })

  it('of a log that is written here is never replaced', async () => {
    await core.membership.create(id, { key: log.threadKey, logKey: log.key, caller: { identity: NOBODY } })
    await core.writer.write(core.entry(id), async (draft) => draft.setLog({ ...draft.log(log.id), unpulled: false }))
    const first = log.make()
    await receive([first])
    const other = after(undefined)
    await receive([other, after(other)])
    expect(heads({ first })).toEqual(['first', undefined])
    expect(chains()[0]?.retired).toBe(true)
  })
})

describe('a log continued in two ways', () => {
  it('is kept in both, whichever comes first, and folded', async () => {
    log.next(4)
    const fork = [after(log.records[1])]
    fork.push(after(fork[0]))
    await receive(log.records)
    await receive([...log.records.slice(0, 2), ...fork])
    const [d, f] = [log.records[3] as MadeRecord, fork[1] as MadeRecord]
    expect(heads({ d, f })).toEqual(['d', 'f'])
    expect(folded()).toEqual(cids([...log.records, ...fork]))
    expect(app.folded.slice(4).map(({ counter, logId }) => [counter, logId])).toEqual([
      [3, log.id],
      [4, log.id],
    ])
    expect(core.replica.log(id, log.id)).toMatchObject({ counter: 4 })
    expect(core.replica.logs(id)).toHaveLength(2)
  })

  it('goes on at every end, and can part again anywhere', async () => {
    log.next(3)
    await receive(log.records)
    const a = after(log.records[0])
    await receive([a])
    const b = after(a)
    await receive([b])
    const c = after(a)
    await receive([c])
    const d = after(c)
    await receive([d])
    const main = log.next()
    await receive(log.records.slice(-1))
    expect(main).toHaveLength(1)
    const last = log.records.at(-1) as MadeRecord
    expect(heads({ last, b, d })).toEqual(['last', 'b', 'd'])
    expect(chains().map(({ branch }) => branch?.base)).toEqual([undefined, 1, 2])
    core = await core.restart()
    expect(heads({ last, b, d })).toEqual(['last', 'b', 'd'])
  })

  it('counts for as many logs as it has ends', async () => {
    log.next(2)
    await receive(log.records)
    await receive([after(log.records[0])])
    await receive([after(log.records[0])])
    await expect(receive([after(log.records[0])])).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(chains()).toHaveLength(3)
  })

  it('tells the owner no cursor of a branch it has not begun, and waits for what the branch follows', async () => {
    log.next(3)
    app.check = ({ counter }) => {
      if (counter === 2) throw new TypeError('a fault of the fold')
    }
    await receive(log.records.slice(0, 1))
    await receive(log.records.slice(1))
    const fork = [after(log.records[1]), after(log.records[2])]
    await receive(fork.slice(0, 1))
    await receive(fork.slice(1))
    expect(app.folded).toHaveLength(1)
    app.check = () => {}
    await core.writer.resume(core.entry(id))
    expect(new Set(folded())).toEqual(new Set(cids([...log.records, ...fork])))
    const branches = chains().slice(1)
    const begun = app.contexts.filter(({ cursors }) => branches.some(({ chain }) => cursors.has(chain)))
    expect(begun).toEqual([])
  })

  it('comes in long runs', async () => {
    log.next(1_300)
    await receive(log.records)
    const fork: MadeRecord[] = [after(log.records[99])]
    while (fork.length < 1_100) fork.push(after(fork.at(-1)))
    expect(await receive([...log.records.slice(0, 100), ...fork])).toEqual({
      stored: 1_100,
      counter: 1_300,
      gap: false,
    })
    expect(chains().map(({ head }) => head.counter)).toEqual([1_300, 1_200])
  })
})

describe('an attestation', () => {
  it('is kept with the head it names, until there is another', async () => {
    log.next(2)
    const [first, second] = log.records as [MadeRecord, MadeRecord]
    await receive([first], log.attest(id, 1, first))
    expect(chains()[0]?.attestation).toEqual(log.attest(id, 1, first).signature)
    await receive([second])
    expect(chains()[0]?.attestation).toBeUndefined()
    await receive([second], log.attest(newThreadId('raw', randomBytes), 2, second))
    expect(chains()[0]?.attestation).toBeUndefined()
    await core.replica.addLogs(id, [{ ...log.asPeerLog(), attestation: log.attest(id, 2, second).signature }], log.id)
    expect(chains()[0]?.attestation).toEqual(log.attest(id, 2, second).signature)
    core = await core.restart()
    expect(chains()[0]?.attestation).toEqual(log.attest(id, 2, second).signature)
  })
})
