import { describe, expect, it } from 'vitest'
import { measureRow, quantile, repeated, type Sample, type Work } from '../../../bench/measure.ts'

const noCpu = async (): Promise<number> => 0

describe('a row', () => {
  it('is compared with its limit round by round, so that a slower machine slows both', async () => {
    const row = scripted('row', [1, 50, 100, 25])
    const limit = scripted('limit', [1, 100, 200, 50])
    const { value, ofLimit } = await measureRow({ ...row, limit }, { rounds: 3, ms: 1 })
    expect(value).toBe(50)
    expect(ofLimit).toMatchObject({ limit: 'limit', value: 100, ratio: 0.5, cpuRatio: 0.5 })
  })

  it('has no ratio without a limit', async () => {
    expect(await measureRow(scripted('row', [1, 7]), { rounds: 1, ms: 1 })).toEqual({
      work: 'row',
      value: 7,
      unit: '/s',
    })
  })
})

describe('repeated work', () => {
  it('is done at least once, with numbers that go on from round to round', async () => {
    const numbers: number[] = []
    const work = repeated('work', { cpu: noCpu }, (index) => numbers.push(index))
    await work.run(0)
    await work.run(0)
    expect(numbers.slice(0, 2)).toEqual([0, 1])
    expect(numbers).toEqual([...numbers.keys()])
  })

  it('runs as many calls at once as it says, and counts what each does', async () => {
    let running = 0
    let most = 0
    let calls = 0
    const work = repeated('work', { cpu: noCpu, atOnce: 4, each: 10 }, async () => {
      calls++
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
    })
    const started = performance.now()
    const { perSecond } = await work.run(1)
    const longest = performance.now() - started
    expect(most).toBe(4)
    expect(perSecond).toBeGreaterThanOrEqual((1000 * 10 * calls) / longest)
  })
})

describe('a quantile', () => {
  it.each([
    [0.5, 3],
    [0.99, 5],
    [0, 1],
  ])('of %d', (share, expected) => {
    expect(quantile([5, 1, 4, 2, 3], share)).toBe(expected)
  })

  it('of nothing is not a number', () => {
    expect(quantile([], 0.5)).toBeNaN()
  })
})

/** Answers a speed for each run. All of its time is CPU time. */
function scripted(name: string, speeds: readonly number[]): Work {
  let next = 0
  return {
    name,
    run: async (): Promise<Sample> => {
      const perSecond = speeds[next++] ?? 1
      return { perSecond, cpuMs: 1000 / perSecond }
    },
  }
}
