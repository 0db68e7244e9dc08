import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Collection, Database, WriteTransaction } from '../../../src/db/index.ts'
import { SnapshotTransaction } from '../../../src/db/transaction.ts'
import { bytesOf, found, idsOf, newNotes, NOTE, noteOf } from '../../support/notes.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultySandbox } from '../../support/faulty-sandbox.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'

let clock: FakeClock
let sandbox: FaultySandbox
let host: TestHost
let database: Database
let notes: Collection

beforeEach(async () => {
  clock = new FakeClock()
  sandbox = new FaultySandbox()
  host = await startHost({ clock, sandbox, net: { pull: false } })
  ;({ database, notes } = await newNotes(host))
})
afterEach(() => host[Symbol.asyncDispose]())

const begin = (signal?: AbortSignal): Promise<WriteTransaction> =>
  database.writeTransaction('Note', signal === undefined ? {} : { signal })

/** A log that is written elsewhere; the answer adds a record that creates a note. */
async function foreignNotes(): Promise<(id: string) => Promise<void>> {
  const log = new ForeignLog((await database.info()).key)
  await log.introduce(host, database)
  return async (id) => {
    const patch = JSON.stringify({ _id: id })
    await host.net.addRecord(database.id, log.id, log.record([{ type: 'create', id, patch, atMs: clock.nowMs() }]))
  }
}

async function records(): Promise<number> {
  const { logs } = await host.net.getThread(database.id)
  return logs.reduce((sum, { head }) => sum + head.counter, 0)
}

/** Lets everything run that waits for nothing from outside. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a write transaction', () => {
  it('stores its writes as one record, and none if there are none', async () => {
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'a' }), bytesOf({ _id: 'b' })])
    await transaction.save([bytesOf({ _id: 'c', name: 'c' })])
    await transaction.commit()
    expect(await idsOf(notes)).toEqual(['a', 'b', 'c'])
    expect(await records()).toBe(1)
    await (await begin()).commit()
    expect(await records()).toBe(1)
  })

  it('ends with the last of several saves, also where that says what was committed before', async () => {
    await notes.create([bytesOf({ _id: 'a', name: 'first', nested: { x: 1, y: 1 } })])
    const transaction = await begin()
    await transaction.save([bytesOf({ _id: 'a', name: 'second', nested: { x: 2, y: 1 } })])
    await transaction.save([bytesOf({ _id: 'a', name: 'first', nested: { x: 1 } })])
    await transaction.commit()
    await notes.save([bytesOf({ _id: 'b', name: 'one' }), bytesOf({ _id: 'b', name: 'two' })])
    expect(await found(notes)).toEqual([
      { _id: 'a', name: 'first', nested: { x: 1 } },
      { _id: 'b', name: 'two' },
    ])
  })

  it('reads what is committed, not what it writes', async () => {
    await notes.create([bytesOf({ _id: 'old', name: 'before' })])
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'new' })])
    await transaction.save([bytesOf({ _id: 'old', name: 'after' })])
    expect(await transaction.has(['new'])).toBe(false)
    expect(await found(transaction)).toEqual([{ _id: 'old', name: 'before' }])
    expect(noteOf(await transaction.findById('old'))).toMatchObject({ name: 'before' })
    await transaction.commit()
    expect(await found(notes)).toEqual([{ _id: 'new' }, { _id: 'old', name: 'after' }])
  })

  it('is seen by nobody before its commit', async () => {
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'n' })])
    expect(await notes.has(['n'])).toBe(false)
    await transaction.commit()
    expect(await notes.has(['n'])).toBe(true)
  })

  it('applies writes of one id in order', async () => {
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'gone' }), bytesOf({ _id: 'kept', name: 'a' })])
    await transaction.save([bytesOf({ _id: 'gone', name: 'b' }), bytesOf({ _id: 'kept', name: 'b' })])
    await transaction.delete(['gone', 'kept'])
    await transaction.create([bytesOf({ _id: 'kept', name: 'c' })])
    await transaction.commit()
    expect(await found(notes)).toEqual([{ _id: 'kept', name: 'c' }])
  })

  it.each([
    ['created twice', 'create'],
    ['saved and then created', 'save'],
  ] as const)('with an id %s fails as a whole', async (_title, first) => {
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'other' })])
    await transaction[first]([bytesOf({ _id: 'n' })])
    await transaction.create([bytesOf({ _id: 'n' })])
    await expect(transaction.commit()).rejects.toMatchObject({
      code: 'INSTANCE_EXISTS',
      message: "cant't create already existent instance",
    })
    expect(await idsOf(notes)).toEqual([])
    await notes.create([bytesOf({ _id: 'n' })])
  })

  it('keeps nothing of a call that fails, and the rest', async () => {
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'a' })])
    await expect(transaction.create([bytesOf({ _id: 'b' }), bytesOf({ name: 7 })])).rejects.toMatchObject({
      code: 'INVALID_INSTANCE',
    })
    await transaction.commit()
    expect(await idsOf(notes)).toEqual(['a'])
  })

  it('takes calls in the order they are made, and commits what was called before', async () => {
    const transaction = await begin()
    const calls = [
      transaction.create([bytesOf({ _id: 'n', name: 'a' })]),
      transaction.save([bytesOf({ _id: 'n', name: 'b' })]),
      transaction.delete(['n']),
      transaction.save([bytesOf({ _id: 'n', name: 'c' })]),
      transaction.commit(),
    ]
    const late = transaction.create([bytesOf({ _id: 'late' })])
    const refused = expect(late).rejects.toMatchObject({ code: 'TRANSACTION_CLOSED' })
    await Promise.all(calls)
    await refused
    expect(await found(notes)).toEqual([{ _id: 'n', name: 'c' }])
  })

  it('stores a commit that is under way when it is closed', async () => {
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'n' })])
    const commit = transaction.commit()
    await transaction.close()
    await commit
    expect(await idsOf(notes)).toEqual(['n'])
  })

  it('frees the lock when its commit is refused', async () => {
    await database.updateCollection({ ...NOTE, writeValidator: "return 'never'" })
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'n' })])
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'WRITE_DENIED' })
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'TRANSACTION_CLOSED' })
    await (await begin()).close()
  })

  it('takes 10,000 writes and no more', async () => {
    const some = (count: number): Uint8Array[] => Array.from({ length: count }, () => bytesOf({}))
    const transaction = await begin()
    await transaction.create(some(9_999))
    await expect(transaction.create(some(2))).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: '10001 writes at once, at most 10000 are allowed',
      hint: 'Split them into several transactions.',
    })
    await transaction.create(some(1))
    await transaction.commit()
    expect(await notes.find({})).toHaveLength(10_000)
    await expect(notes.create(some(10_001))).rejects.toMatchObject({ code: 'TOO_LARGE' })
    await expect(notes.save(some(10_001))).rejects.toMatchObject({ code: 'TOO_LARGE' })
    const all = (await idsOf(notes)).map(String)
    await notes.create(some(1))
    await expect(notes.delete((await idsOf(notes)).map(String))).rejects.toMatchObject({ code: 'TOO_LARGE' })
    await notes.delete(all)
    expect(await notes.find({})).toHaveLength(1)
  })

  it('takes 4 MiB and no more', async () => {
    const big = (_id: string): Uint8Array => bytesOf({ _id, name: 'n'.repeat(1_500_000) })
    const transaction = await begin()
    await transaction.create([big('a'), big('b')])
    await expect(transaction.create([big('c')])).rejects.toMatchObject({ code: 'TOO_LARGE' })
    await transaction.commit()
    expect(await notes.has(['a', 'b'])).toBe(true)
  })
})

describe('a discarded transaction', () => {
  it('answers reads, takes no more, and does not commit', async () => {
    await notes.create([bytesOf({ _id: 'old' })])
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'new' })])
    transaction.discard()
    expect(await transaction.has(['old'])).toBe(true)
    await transaction.save([bytesOf({ _id: 'old', name: 'b' })])
    const refusal = { code: 'TRANSACTION_CLOSED', message: "can't commit discarded/committed txn" }
    await expect(transaction.verify([bytesOf({ _id: 'old' })])).rejects.toMatchObject(refusal)
    await expect(transaction.commit()).rejects.toMatchObject(refusal)
    expect(await found(notes)).toEqual([{ _id: 'old' }])
  })
})

describe('the write lock', () => {
  it('is given in the order it was asked for', async () => {
    const order: string[] = []
    const open = await begin()
    const others = [
      begin().then((transaction) => (order.push('transaction'), transaction.close())),
      notes.create([bytesOf({})]).then(() => order.push('write')),
      database.createCollection({ ...NOTE, name: 'Other' }).then(() => order.push('collection')),
      begin().then((transaction) => (order.push('last'), transaction.close())),
    ]
    await settle()
    expect(order).toEqual([])
    await open.close()
    await Promise.all(others)
    expect(order).toEqual(['transaction', 'write', 'collection', 'last'])
  })

  it('is not waited for any more when the signal aborts', async () => {
    const open = await begin()
    const caller = new AbortController()
    const { signal } = caller
    const waiting = Promise.allSettled([
      begin(signal),
      database.collection('Note', { signal }).create([bytesOf({ _id: 'never' })]),
    ])
    const next = begin()
    const reason = new Error('the caller is gone')
    caller.abort(reason)
    const refused = { status: 'rejected', reason }
    expect(await waiting).toEqual([refused, refused])
    await open.close()
    await (await next).close()
    expect(await idsOf(notes)).toEqual([])
    await expect(begin(signal)).rejects.toBe(reason)
  })

  it('is given back by a close without commit', async () => {
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'n' })])
    const next = begin()
    await transaction.close()
    await transaction.close()
    await (await next).commit()
    expect(await idsOf(notes)).toEqual([])
    expect(await records()).toBe(0)
  })
})

describe('the time of a transaction', () => {
  it('ends after 10 s without a call; the lock is free then', async () => {
    const transaction = await begin()
    await transaction.create([bytesOf({ _id: 'n' })])
    const next = begin()
    clock.advance(9_999)
    expect(transaction.expired.aborted).toBe(false)
    clock.advance(1)
    expect(transaction.expired.reason).toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
    const waiting = await next
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
    await expect(transaction.find({})).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
    expect(() => transaction.discard()).toThrow('the transaction was open for 10000 ms')
    await transaction.close()
    await waiting.create([bytesOf({ _id: 'm' })])
    await waiting.commit()
    expect(await idsOf(notes)).toEqual(['m'])
  })

  it('ends after 30 s with calls', async () => {
    const transaction = await begin()
    for (let call = 0; call < 3; call++) {
      clock.advance(9_000)
      await transaction.has([])
    }
    clock.advance(2_999)
    expect(transaction.expired.aborted).toBe(false)
    clock.advance(1)
    await expect(transaction.has([])).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
  })

  it('is not that of a call under way, except in all', async () => {
    await notes.create([bytesOf({ _id: 'n' })])
    await database.updateCollection({ ...NOTE, readFilter: 'return instance' })
    const transaction = await begin()
    const stalled = sandbox.stall()
    const call = transaction.save([bytesOf({ _id: 'n', name: 'a' })])
    await stalled.reached
    clock.advance(20_000)
    expect(transaction.expired.aborted).toBe(false)
    clock.advance(10_000)
    const next = await begin()
    stalled.release()
    await expect(call).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
    await next.commit()
    expect(await found(notes)).toEqual([{ _id: 'n' }])
  })

  it('leaves no timers behind', async () => {
    const before = clock.pendingTimers
    for (const end of ['commit', 'close'] as const) {
      const transaction = await begin()
      await transaction.has([])
      await transaction[end]()
    }
    expect(clock.pendingTimers).toBe(before)
  })
})

describe('records that arrive during a transaction', () => {
  it('wait and are folded when it ends, however it ends', async () => {
    const receive = await foreignNotes()
    for (const end of ['commit', 'close'] as const) {
      const transaction = await begin()
      await receive(end)
      expect(await transaction.has([end])).toBe(false)
      expect(await notes.has([end])).toBe(false)
      await transaction[end]()
      await expect.poll(() => notes.has([end])).toBe(true)
    }
    const transaction = await begin()
    await receive('timeout')
    clock.advance(10_000)
    await expect.poll(() => notes.has(['timeout'])).toBe(true)
    await transaction.close()
  })

  it('are seen from the beginning if they were being folded when it began', async () => {
    await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
    const receive = await foreignNotes()
    const stalled = sandbox.stall()
    const receiving = receive('n')
    await stalled.reached
    const seen = begin().then(async (transaction) => {
      const first = await transaction.has(['n'])
      await receiving
      const second = await transaction.has(['n'])
      await transaction.close()
      return [first, second]
    })
    await settle()
    stalled.release()
    expect(await seen).toEqual([true, true])
  })

  it('are seen by the next, also if one follows the other', async () => {
    const receive = await foreignNotes()
    const first = await begin()
    const second = begin()
    await receive('n')
    await first.commit()
    const transaction = await second
    expect(await transaction.has(['n'])).toBe(true)
    await transaction.close()
  })

  it('are folded if they came behind a commit that is refused', async () => {
    const receive = await foreignNotes()
    const writeValidator = 'return sandbox.none'
    await database.createCollection({ ...NOTE, name: 'Judged', writeValidator })
    const transaction = await database.writeTransaction('Judged')
    await transaction.create([bytesOf({ _id: 'a' })])
    const judging = sandbox.stall()
    const commit = transaction.commit()
    await judging.reached
    const received = receive('behind')
    await settle()
    judging.release()
    await expect(commit).rejects.toMatchObject({ code: 'WRITE_DENIED' })
    await received
    await expect.poll(() => idsOf(notes)).toEqual(['behind'])
  })

  it('are folded later if the store fails when the transaction ends', async () => {
    const receive = await foreignNotes()
    const transaction = await begin()
    await receive('n')
    const resume = host.store.committer
    const submit = resume.submit.bind(resume)
    let failures = 0
    resume.submit = (batch, options) => {
      if (failures++ > 0) return submit(batch, options)
      return Promise.reject(new Error('not now'))
    }
    await transaction.close()
    await expect.poll(() => failures).toBe(1)
    await settle()
    expect(await notes.has(['n'])).toBe(false)
    clock.advance(1_000)
    await expect.poll(() => notes.has(['n'])).toBe(true)
  })
})

describe('a read transaction', () => {
  it('shows one state until it is closed', async () => {
    const receive = await foreignNotes()
    await notes.create([bytesOf({ _id: 'a' })])
    const transaction = await database.readTransaction('Note')
    await notes.create([bytesOf({ _id: 'b' })])
    await receive('c')
    await notes.delete(['a'])
    expect(await idsOf(transaction)).toEqual(['a'])
    expect(await transaction.has(['b'])).toBe(false)
    expect(await idsOf(notes)).toEqual(['b', 'c'])
    await transaction.close()
    await transaction.close()
    await expect(transaction.find({})).rejects.toMatchObject({ code: 'TRANSACTION_CLOSED' })
  })

  it('does not wait for writers', async () => {
    const open = await begin()
    const transaction = await database.readTransaction('Note')
    expect(await transaction.has(['n'])).toBe(false)
    await transaction.close()
    await open.close()
  })

  it('ends after 10 s without a read', async () => {
    const transaction = await database.readTransaction('Note')
    clock.advance(9_999)
    expect(await transaction.has([])).toBe(true)
    clock.advance(9_999)
    expect(transaction.expired.aborted).toBe(false)
    clock.advance(1)
    expect(transaction.expired.reason).toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
    await expect(transaction.find({})).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
    await transaction.close()
  })

  it('ends after 30 s with reads, of which the one under way is answered', async () => {
    await notes.create([bytesOf({ _id: 'n' })])
    await database.updateCollection({ ...NOTE, readFilter: 'return instance' })
    const transaction = await database.readTransaction('Note')
    const stalled = sandbox.stall()
    const read = transaction.find({})
    await stalled.reached
    clock.advance(29_999)
    expect(transaction.expired.aborted).toBe(false)
    clock.advance(1)
    expect(transaction.expired.reason).toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
    const late = transaction.has(['n'])
    stalled.release()
    expect(await read).toHaveLength(1)
    await expect(late).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
  })

  it('ends with its database', async () => {
    const transaction = await database.readTransaction('Note')
    await host.databases.delete(database.id)
    expect(transaction.expired.aborted).toBe(true)
    await expect(transaction.has([])).rejects.toThrow()
  })

  it.each(['close', 'time', 'database'] as const)('gives its snapshot back once, at its end by %s', async (end) => {
    const ended = new AbortController()
    let given = 0
    const transaction = new SnapshotTransaction({
      reader: notes,
      clock,
      limits: { transactionIdleMs: 100, transactionTotalMs: 200 },
      closed: ended.signal,
      release: async () => void given++,
    })
    if (end === 'time') clock.advance(100)
    if (end === 'database') ended.abort(new Error('gone'))
    if (end !== 'close') await settle()
    if (end !== 'close') expect(given).toBe(1)
    await transaction.close()
    await transaction.close()
    expect(given).toBe(1)
  })

  it('leaves no timers behind', async () => {
    const before = clock.pendingTimers
    const transaction = await database.readTransaction('Note')
    await transaction.has([])
    await transaction.close()
    expect(clock.pendingTimers).toBe(before)
  })
})
