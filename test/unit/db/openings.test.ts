import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { generateKey } from '../../../src/core/keys.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import { Openings } from '../../../src/db/openings.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import type { Entry, KeyRange, Operation, OrderedStore, Snapshot } from '../../../src/store/ordered-store.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultySandbox } from '../../support/faulty-sandbox.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, idsOf, newNotes } from '../../support/notes.ts'

const newId = (): ThreadId => newThreadId('raw', randomBytes)

describe('opening databases', () => {
  let clock: FakeClock
  let openings: Openings
  let begun: ThreadId[]
  const ends = new Map<ThreadId, () => void>()

  beforeEach(() => {
    clock = new FakeClock()
    openings = new Openings(clock)
    begun = []
  })

  function add(count: number): ThreadId[] {
    const ids = Array.from({ length: count }, newId)
    for (const id of ids) {
      openings.add(id, () => {
        begun.push(id)
        return new Promise((resolve) => ends.set(id, resolve))
      })
    }
    return ids
  }

  it('comes after the start of the host, a few at a time, in order', async () => {
    const ids = add(6)
    expect(begun).toEqual([])
    clock.advance(1_000)
    expect(begun).toEqual(ids.slice(0, 4))
    ends.get(ids[2] ?? newId())?.()
    await expect.poll(() => begun).toEqual(ids.slice(0, 5))
  })

  it('is done at once for one that is asked for, and once', async () => {
    const ids = add(6)
    const [last = newId()] = ids.slice(-1)
    const calls = [openings.wait(last), openings.wait(last)].map(async (call) => call)
    expect(begun).toEqual([last])
    ends.get(last)?.()
    await Promise.all(calls)
    expect(openings.wait(last)).toBeUndefined()
    clock.advance(1_000)
    expect(begun).toEqual([last, ...ids.slice(0, 4)])
  })

  it('keeps callers waiting for a time only, and none who has given up', async () => {
    const [id = newId()] = add(1)
    const caller = new AbortController()
    const patient = openings.wait(id)
    const gone = openings.wait(id, { signal: caller.signal })
    caller.abort(new Error('gone'))
    await expect(gone).rejects.toThrow('gone')
    clock.advance(10_000)
    await patient
    expect(openings.wait(id)).toBeUndefined()
    expect(clock.pendingTimers).toBe(0)
  })

  it('goes on with others where some take long', async () => {
    const ids = add(6)
    clock.advance(1_000)
    clock.advance(10_000)
    await expect.poll(() => begun).toEqual(ids)
  })

  it('begins with none when the databases are closed', () => {
    add(2)
    openings.stop()
    clock.advance(1_000)
    expect(begun).toEqual([])
  })
})

describe('a host with a database whose validator does not answer', () => {
  let backend: OrderedStore
  let sandbox: FaultySandbox
  let host: TestHost
  const privateKey = generateKey(randomBytes)
  const start = async (): Promise<void> => {
    sandbox = new FaultySandbox()
    host = await startHost({ backend, sandbox, privateKey, net: { pull: false } })
  }
  beforeEach(async () => {
    backend = await openMemoryStore()
    await start()
  })
  afterEach(() => host[Symbol.asyncDispose]())

  it('starts, serves the others, and that one when it is judged', async () => {
    const slow = await newNotes(host, [{ _id: 'a' }], { writeValidator: 'return true' })
    const other = await newNotes(host, [{ _id: 'b' }])
    const log = new ForeignLog((await slow.database.info()).key)
    await log.introduce(host, slow.database)
    sandbox.failOn(() => true)
    const event = { type: 'create', id: 'late', patch: '{"_id":"late"}', atMs: Date.now() } as const
    await host.net.addRecord(slow.database.id, log.id, log.record([event]))
    await host[Symbol.asyncDispose]()

    await start()
    const stall = sandbox.stall()
    const asked = host.databases.get(slow.database.id)
    await stall.reached
    const served = await host.databases.get(other.database.id)
    await served.collection('Note').create([bytesOf({ _id: 'c' })])
    expect(await idsOf(served.collection('Note'))).toEqual(['b', 'c'])
    expect(await host.databases.list()).toHaveLength(2)
    stall.release()
    expect(await idsOf((await asked).collection('Note'))).toEqual(['a', 'late'])
  })
})

describe('the start of a host', () => {
  it('reads no records, and nothing that was made of them', async () => {
    const backend = new NotingStore(await openMemoryStore())
    const privateKey = generateKey(randomBytes)
    let host = await startHost({ backend, privateKey, clock: new FakeClock() })
    const { database } = await newNotes(host, [{ _id: 'a', name: 'x' }], { indexes: [{ path: 'name' }] })
    await host[Symbol.asyncDispose]()
    backend.letters.clear()
    host = await startHost({ backend, privateKey, clock: new FakeClock() })
    expect([...backend.letters]).toEqual(expect.arrayContaining(['t', 'l']))
    for (const letter of ['r', 'c', 'd', 'e', 'x', 'v']) expect(backend.letters).not.toContain(letter)
    expect(await idsOf((await host.databases.get(database.id)).collection('Note'))).toEqual(['a'])
    expect(backend.letters).toContain('d')
    await host[Symbol.asyncDispose]()
  })
})

/** Notes the letters of the keys that are read. */
class NotingStore implements OrderedStore {
  readonly letters = new Set<string>()
  readonly #store: OrderedStore

  constructor(store: OrderedStore) {
    this.#store = store
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#note(key)
    return this.#store.get(key)
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    for (const key of keys) this.#note(key)
    return this.#store.getMany(keys)
  }

  entries(range: KeyRange): AsyncIterable<Entry> {
    this.#note(range.gte)
    return this.#store.entries(range)
  }

  snapshot(): Snapshot {
    this.letters.add('d')
    return this.#store.snapshot()
  }

  batch(operations: readonly Operation[], options: { sync: boolean }): Promise<void> {
    return this.#store.batch(operations, options)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #note([letter = 0]: Uint8Array): void {
    this.letters.add(String.fromCharCode(letter))
  }
}
