import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { compareBytes } from '../../src/core/bytes.ts'
import type { Entry, KeyRange, Operation, OrderedStore, ReadView } from '../../src/store/ordered-store.ts'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const put = (key: string, value: string): Operation => ({ type: 'put', key: bytes(key), value: bytes(value) })
const del = (key: string): Operation => ({ type: 'del', key: bytes(key) })
const range = (gte: string, lt: string, rest: Partial<KeyRange> = {}): KeyRange => ({
  gte: bytes(gte),
  lt: bytes(lt),
  ...rest,
})

/** Keys and values of a range as text, `key=value`. */
async function scan(view: ReadView, wanted: KeyRange): Promise<string[]> {
  const found: string[] = []
  for await (const [key, value] of view.entries(wanted)) {
    found.push(`${Buffer.from(key).toString()}=${Buffer.from(value).toString()}`)
  }
  return found
}

/** What every backend has to do. `open` makes a new, empty store each time. */
export function testOrderedStore(name: string, open: () => Promise<OrderedStore>): void {
  describe(`${name} as an ordered store`, () => {
    let store: OrderedStore

    beforeEach(async () => {
      store = await open()
    })

    afterEach(async () => {
      await store.close()
    })

    const write = (...operations: Operation[]): Promise<void> => store.batch(operations, { sync: false })

    it('has no value for a key that was not written', async () => {
      expect(await store.get(bytes('absent'))).toBeUndefined()
    })

    it('keeps bytes as they are, also none at all', async () => {
      const value = Uint8Array.from({ length: 256 }, (_, i) => i)
      await store.batch([{ type: 'put', key: value, value }], { sync: true })
      await write(put('empty', ''))
      expect(await store.get(value)).toEqual(value)
      expect(await store.get(bytes('empty'))).toEqual(new Uint8Array())
    })

    it('reads as many keys as asked, in the order asked, on both sides of the number read directly', async () => {
      await write(put('a', '1'), put('b', '2'))
      const few = await store.getMany([bytes('b'), bytes('x'), bytes('a'), bytes('b')])
      expect(few.map((value) => value && Buffer.from(value).toString())).toEqual(['2', undefined, '1', '2'])
      const many = await store.getMany(Array.from({ length: 100 }, (_, i) => bytes(i === 99 ? 'a' : 'x')))
      expect(many.findIndex((value) => value !== undefined)).toBe(99)
      expect(await store.getMany([])).toEqual([])
    })

    it('goes on answering over a long run of reads', async () => {
      await write(put('a', '1'))
      for (let i = 0; i < 1000; i++) expect(await store.get(bytes('a'))).toEqual(bytes('1'))
    })

    it('applies the operations of a batch in order, the last one of a key winning', async () => {
      await write(put('a', '1'), put('b', '1'), del('a'), put('b', '2'), del('absent'))
      expect(await scan(store, range('a', 'z'))).toEqual(['b=2'])
    })

    it('takes a batch without operations', async () => {
      await expect(store.batch([], { sync: true })).resolves.toBeUndefined()
    })

    it('scans from the first key, inclusive, to the end, exclusive', async () => {
      await write(put('a', '1'), put('b', '2'), put('ba', '3'), put('c', '4'))
      expect(await scan(store, range('b', 'c'))).toEqual(['b=2', 'ba=3'])
      expect(await scan(store, range('b', 'b'))).toEqual([])
    })

    it('scans backwards from the highest key', async () => {
      await write(put('a', '1'), put('b', '2'), put('c', '3'))
      expect(await scan(store, range('a', 'c', { reverse: true }))).toEqual(['b=2', 'a=1'])
    })

    it('stops at the limit, from either side', async () => {
      await write(put('a', '1'), put('b', '2'), put('c', '3'))
      expect(await scan(store, range('a', 'z', { limit: 2 }))).toEqual(['a=1', 'b=2'])
      expect(await scan(store, range('a', 'z', { limit: 2, reverse: true }))).toEqual(['c=3', 'b=2'])
      expect(await scan(store, range('a', 'z', { limit: 0 }))).toEqual([])
    })

    it('scans keys alone, and begins with few entries, without another order or end', async () => {
      const keys = Array.from({ length: 700 }, (_, i) => `k${String(i).padStart(4, '0')}`)
      await write(...keys.map((key) => put(key, 'v')))
      for (const rest of [{ keysOnly: true }, { first: 3 }, { keysOnly: true, first: 1, reverse: true }]) {
        const found: string[] = []
        for await (const [key] of store.entries(range('k', 'l', rest))) found.push(Buffer.from(key).toString())
        expect(found).toEqual(rest.reverse === true ? keys.toReversed() : keys)
      }
      expect(await scan(store, range('k', 'l', { first: 2, limit: 3 }))).toHaveLength(3)
    })

    it('orders keys bytewise, whatever order they came in', async () => {
      const keys = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 6 }), { selector: (key) => key.join() })
      await fc.assert(
        fc.asyncProperty(keys, async (written) => {
          const fresh = await open()
          await fresh.batch(
            written.map((key) => ({ type: 'put', key, value: key })),
            { sync: false },
          )
          const found: Entry[] = []
          for await (const entry of fresh.entries({ gte: new Uint8Array(), lt: new Uint8Array(8).fill(0xff) })) {
            found.push(entry)
          }
          await fresh.close()
          expect(found).toEqual(written.toSorted(compareBytes).map((key) => [key, key]))
        }),
        { numRuns: 20 },
      )
    })

    it('scans more than it fetches at once', async () => {
      const keys = Array.from({ length: 1000 }, (_, i) => `k${String(i).padStart(4, '0')}`)
      await write(...keys.map((key) => put(key, 'v')))
      expect(await scan(store, range('k', 'l'))).toEqual(keys.map((key) => `${key}=v`))
    })

    it('does not show a scan what is written after its first entry', async () => {
      await write(put('a', '1'), put('c', '3'))
      const seen: string[] = []
      for await (const [key] of store.entries(range('a', 'z'))) {
        if (seen.length === 0) await write(put('b', '2'), del('c'))
        seen.push(Buffer.from(key).toString())
      }
      expect(seen).toEqual(['a', 'c'])
    })

    it('closes after a scan was left early', async () => {
      await write(put('a', '1'), put('b', '2'))
      for await (const [key] of store.entries(range('a', 'z'))) {
        expect(key).toEqual(bytes('a'))
        break
      }
      await expect(store.close()).resolves.toBeUndefined()
    })

    it('keeps a snapshot as it was', async () => {
      await write(put('a', '1'), put('b', '1'))
      const snapshot = store.snapshot()
      await write(put('a', '2'), del('b'), put('c', '2'))
      expect(await snapshot.get(bytes('a'))).toEqual(bytes('1'))
      expect(await snapshot.getMany([bytes('b'), bytes('c')])).toEqual([bytes('1'), undefined])
      expect(await scan(snapshot, range('a', 'z'))).toEqual(['a=1', 'b=1'])
      await snapshot.close()
      expect(await scan(store, range('a', 'z'))).toEqual(['a=2', 'c=2'])
    })

    it('says CLOSED once it is closed', async () => {
      await store.close()
      await expect(store.get(bytes('a'))).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(store.getMany([bytes('a')])).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(scan(store, range('a', 'z'))).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(write(put('a', '1'))).rejects.toMatchObject({ code: 'CLOSED' })
      expect(() => store.snapshot()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    })
  })
}
