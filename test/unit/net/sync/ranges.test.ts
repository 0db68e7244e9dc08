import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newThreadId, type ThreadId } from '../../../../src/core/thread-id.ts'
import { randomBytes } from '../../../../src/core/crypto.ts'
import {
  checkRanges,
  compareRange,
  type Range,
  type Shared,
  sharedItems,
  wholeRange,
} from '../../../../src/net/sync/ranges.ts'
import type { Edges } from '../../../../src/net/replica.ts'
import { decodeFrame, encodeFrame } from '../../../../src/net/sync/frames.ts'

const EDGES: Edges = { addresses: 1n, heads: 2n, chains: 3n }
const OTHER: Edges = { addresses: 1n, heads: 2n, chains: 4n }

interface Outcome {
  /** What each side tells the other of. */
  readonly told: readonly [Set<ThreadId>, Set<ThreadId>]
  readonly frames: number
  readonly bytes: number
}

/** Lets two sides compare what they share until nothing more is said; the first begins. */
function compare(sides: readonly [readonly Shared[], readonly Shared[]]): Outcome {
  const told: [Set<ThreadId>, Set<ThreadId>] = [new Set(), new Set()]
  let [frames, bytes] = [0, 0]
  let sent: readonly Range[] = [wholeRange(sides[0])]
  for (let to: 0 | 1 = 1; sent.length > 0; to = to === 0 ? 1 : 0) {
    if (frames++ > 100) throw new Error('there is no end of it')
    const frame = encodeFrame({ ranges: sent })
    bytes += frame.length
    const answer: Range[] = []
    for (const range of decodeFrame(frame).ranges ?? []) {
      const { ranges, differing } = compareRange(sides[to], range)
      answer.push(...ranges)
      for (const id of differing) told[to].add(id)
    }
    sent = answer
  }
  return { told, frames, bytes }
}

function threads(count: number): ThreadId[] {
  return Array.from({ length: count }, () => newThreadId('raw', randomBytes))
}

function sharing(ids: Iterable<ThreadId>, others: ReadonlySet<ThreadId> = new Set()): Shared[] {
  return sharedItems([...ids].map((threadId) => ({ threadId, edges: others.has(threadId) ? OTHER : EDGES })))
}

describe('two hosts that compare what they share', () => {
  it('say no more than one frame if nothing differs', () => {
    const ids = threads(1_000)
    expect(compare([sharing(ids), sharing(ids.toReversed())])).toMatchObject({
      frames: 1,
      told: [new Set(), new Set()],
    })
  })

  it.each([1_000, 100_000])('find one difference in %i threads with a few kB', (count) => {
    const ids = threads(count)
    const different = new Set([ids[77] as ThreadId])
    const { told, frames, bytes } = compare([sharing(ids), sharing(ids, different)])
    expect(told[0].union(told[1])).toEqual(different)
    expect(frames).toBeLessThan(10)
    expect(bytes).toBeLessThan(8_000)
  })

  it('tell of every thread that differs or that one of them lacks, each by a side that has it, and of no other', () => {
    const kinds = fc.array(fc.constantFrom('equal', 'other', 'first', 'second'), { maxLength: 400 })
    fc.assert(
      fc.property(kinds, (list) => {
        const all = list.map((kind) => ({ kind, id: newThreadId('raw', randomBytes) }))
        const of = (...names: string[]): ThreadId[] => all.flatMap(({ kind, id }) => (names.includes(kind) ? id : []))
        const first = sharing(of('equal', 'other', 'first'))
        const second = sharing(of('equal', 'other', 'second'), new Set(of('other')))
        const { told } = compare([first, second])
        expect(told[0].isDisjointFrom(new Set(of('equal', 'second')))).toBe(true)
        expect(told[1].isDisjointFrom(new Set(of('equal', 'first')))).toBe(true)
        expect(told[0].union(told[1])).toEqual(new Set(of('other', 'first', 'second')))
      }),
      { numRuns: 200 },
    )
  })

  it('is all told if the other side has nothing', () => {
    const ids = threads(500)
    expect(compare([sharing(ids), []]).told[0]).toEqual(new Set(ids))
    expect(compare([[], sharing(ids)]).told[1]).toEqual(new Set(ids))
  })
})

describe('ranges of a peer', () => {
  const at = (byte: number): Uint8Array => Uint8Array.of(byte)
  const range = (from: number, to: number | undefined): Range => {
    return { from: at(from), to: to === undefined ? undefined : at(to), count: 0, items: [], answers: false }
  }

  it.each([
    ['overlap', [range(1, 4), range(3, 5)]],
    ['are out of order', [range(3, 4), range(1, 2)]],
    ['follow the end', [range(1, undefined), range(2, 3)]],
    ['are empty', [range(2, 2)]],
    [
      'are too many',
      Array.from({ length: 250 }, (_, i) => range(i, i + 1)).flatMap((each) => [each, each, each, each, each]),
    ],
  ])('are refused if they %s', (_, ranges) => {
    expect(() => checkRanges(ranges)).toThrow(expect.objectContaining({ code: 'BAD_MESSAGE' }))
  })

  it('get no answer that a frame cannot hold', () => {
    const list: Range = {
      from: at(0),
      to: undefined,
      count: 1,
      items: [{ id: at(1), digest: new Uint8Array(16) }],
      answers: false,
    }
    const { ranges, differing } = compareRange(sharing(threads(20_000)), list)
    expect(ranges.length).toBeLessThanOrEqual(16)
    expect(differing).toHaveLength(20_000)
  })
})
