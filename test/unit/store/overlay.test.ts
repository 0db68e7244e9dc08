import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import type { Entry, KeyRange, Operation, ReadView } from '../../../src/store/ordered-store.ts'
import { Overlay, OverlayView } from '../../../src/store/overlay.ts'

const key = (n: number): Uint8Array => Uint8Array.of(n)

async function entriesOf(view: ReadView, range: KeyRange): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of view.entries(range)) found.push(entry)
  return found
}

const operations: fc.Arbitrary<Operation[]> = fc.array(
  fc.tuple(fc.nat(20), fc.boolean(), fc.nat(255)).map(([n, put, value]): Operation => {
    return put ? { type: 'put', key: key(n), value: key(value) } : { type: 'del', key: key(n) }
  }),
  { maxLength: 12 },
)
const ranges: fc.Arbitrary<KeyRange> = fc.record(
  { gte: fc.nat(21).map(key), lt: fc.nat(22).map(key), reverse: fc.boolean(), limit: fc.nat(8) },
  { requiredKeys: ['gte', 'lt'] },
)

describe('OverlayView', () => {
  it('reads as the store would with the pending batches written to it', async () => {
    const batches = fc.array(operations, { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(operations, batches, ranges, fc.nat(3), async (stored, pending, range, written) => {
        const store = await openMemoryStore()
        const expected = await openMemoryStore()
        const overlay = new Overlay()
        await store.batch(stored, { sync: false })
        await expected.batch([...stored, ...pending.flat()], { sync: false })
        const names = pending.map((batch, i) => overlay.add(i + 1, batch))
        for (const [i, batch] of pending.slice(0, written).entries()) {
          await store.batch(batch, { sync: false })
          overlay.remove(i + 1, names[i] ?? [])
        }
        const view = new OverlayView(store, () => overlay)
        const keys = Array.from({ length: 22 }, (_, n) => key(n))
        expect(await entriesOf(view, range)).toEqual(await entriesOf(expected, range))
        expect(await view.getMany(keys)).toEqual(await expected.getMany(keys))
        expect(await Promise.all(keys.map((k) => view.get(k)))).toEqual(await expected.getMany(keys))
      }),
      { numRuns: 300 },
    )
  })

  it('takes overlay and store at one moment, when the first entry is asked for', async () => {
    const store = await openMemoryStore()
    const overlay = new Overlay()
    await store.batch([{ type: 'put', key: key(1), value: key(1) }], { sync: false })
    overlay.add(1, [{ type: 'put', key: key(2), value: key(1) }])
    const seen: Entry[] = []
    for await (const entry of new OverlayView(store, () => overlay).entries({ gte: key(0), lt: key(9) })) {
      overlay.add(2, [{ type: 'put', key: key(2), value: key(2) }])
      await store.batch([{ type: 'put', key: key(3), value: key(2) }], { sync: false })
      seen.push(entry)
    }
    expect(seen).toEqual([
      [key(1), key(1)],
      [key(2), key(1)],
    ])
  })
})
