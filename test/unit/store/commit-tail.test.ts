import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Commit } from '../../../src/store/commit.ts'
import { CommitTail } from '../../../src/store/commit-tail.ts'

function commit(seq: number, documentBytes: number): Commit {
  const change = { collection: 'dogs', id: 'rex', kind: 'saved', after: new Uint8Array(documentBytes) } as const
  return { seq, thread: 1, heads: [], changes: [change] }
}

describe('CommitTail', () => {
  it('holds the newest commits, each under its number, as far as they fit', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.array(fc.nat(5000), { minLength: 1, maxLength: 200 }), (first, sizes) => {
        const tail = new CommitTail({ maxBytes: 20_000 })
        for (const [i, size] of sizes.entries()) tail.push(commit(first + i, size))
        const last = first + sizes.length - 1
        let oldest = last + 1
        while (oldest > first && tail.get(oldest - 1) !== undefined) oldest--
        const held = sizes.slice(oldest - first).reduce((sum, size) => sum + size, 0)
        const more = held + (sizes[oldest - first - 1] ?? Number.POSITIVE_INFINITY)
        expect(held).toBeLessThanOrEqual(20_000)
        expect(more).toBeGreaterThan(20_000 - 600 * (last - oldest + 2))
        for (let seq = oldest; seq <= last; seq++) expect(tail.get(seq)?.seq).toBe(seq)
        for (const seq of [oldest - 1, last + 1]) expect(tail.get(seq)).toBeUndefined()
      }),
    )
  })

  it('holds nothing after it was cleared, and starts anywhere', () => {
    const tail = new CommitTail({ maxBytes: 20_000 })
    tail.push(commit(1, 10))
    tail.clear()
    expect(tail.get(1)).toBeUndefined()
    tail.push(commit(7, 10))
    expect(tail.get(7)?.seq).toBe(7)
  })

  it('does not hold a commit that is larger than all it may hold', () => {
    const tail = new CommitTail({ maxBytes: 1000 })
    tail.push(commit(1, 2000))
    expect(tail.get(1)).toBeUndefined()
    tail.push(commit(2, 10))
    expect(tail.get(2)?.seq).toBe(2)
  })
})
