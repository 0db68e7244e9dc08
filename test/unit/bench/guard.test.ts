import { describe, expect, it } from 'vitest'
import { type Baseline, complaints, measureGuarded } from '../../../bench/guard.ts'
import type { Figure, Row, Sample } from '../../../bench/measure.ts'

const NAME = 'embedded: create'
const ROUNDS = { rounds: 3, ms: 1 }
const BASELINE: Baseline = { [NAME]: { time: 0.5, cpu: 0.5 } }
/** 1 ms for one thing, 0.5 ms of it waiting. */
const LIMIT: Sample = { perSecond: 1000, cpuMs: 0.5 }
/** Half as fast, with twice the CPU time. */
const EXPECTED: Sample = { perSecond: 500, cpuMs: 1 }

describe('the guard', () => {
  it('says nothing of rows that are as they were', async () => {
    expect(complaints(await figures(EXPECTED), BASELINE)).toEqual([])
  })

  it('lets a ratio fall by less than a third', async () => {
    expect(complaints(await figures({ perSecond: 360, cpuMs: 1.4 }), BASELINE)).toEqual([])
  })

  it('complains of a row that takes more than half as much CPU time again', async () => {
    const found = complaints(await figures({ perSecond: 400, cpuMs: 1.6 }), BASELINE)
    expect(found).toEqual([expect.stringContaining('takes the CPU time of its limit (sync) 3.20 times, was 2.00')])
  })

  it('complains of a row that waits for what its limit does not wait for', async () => {
    const found = complaints(await figures({ perSecond: 150, cpuMs: 1 }), BASELINE)
    expect(found).toEqual([expect.stringContaining('mostly waits')])
  })

  it('lets a row be slow beside a limit that waits no more, as on a disk that syncs in no time', async () => {
    const limit: Sample = { perSecond: 2000, cpuMs: 0.5 }
    expect(complaints(await figures({ perSecond: 600, cpuMs: 1 }, limit), BASELINE)).toEqual([])
  })

  it('complains of a row of the baseline that does not exist', () => {
    expect(complaints([], BASELINE)).toEqual([`${NAME}: there is no such row`])
  })

  it('measures no other rows', async () => {
    const other = { ...row([EXPECTED]), name: 'other' }
    expect(await collected(measureGuarded([other], BASELINE, ROUNDS))).toEqual([])
  })

  it('measures a row again that fell, and takes the try that is good', async () => {
    const slow: Sample = { perSecond: 100, cpuMs: 5 }
    const runs = 1 + ROUNDS.rounds
    const samples = [...Array.from({ length: 2 * runs }, () => slow), ...Array.from({ length: runs }, () => EXPECTED)]
    const measured = await collected(measureGuarded([row(samples)], BASELINE, ROUNDS))
    expect(measured.length).toBe(1)
    expect(complaints(measured, BASELINE)).toEqual([])
  })

  it('gives a row up after three tries', async () => {
    let runs = 0
    const slow: Row = {
      ...row([{ perSecond: 100, cpuMs: 5 }]),
      run: async () => ({ perSecond: 100, cpuMs: 5 * ++runs }),
    }
    const measured = await collected(measureGuarded([slow], BASELINE, ROUNDS))
    expect(complaints(measured, BASELINE).length).toBe(1)
    expect(runs).toBe(3 * (1 + ROUNDS.rounds))
  })
})

function figures(done: Sample, limit: Sample = LIMIT): Promise<Figure[]> {
  return collected(measureGuarded([row([done], limit)], BASELINE, ROUNDS))
}

/** A row that answers these samples, the last one again and again. */
function row(samples: readonly Sample[], limit: Sample = LIMIT): Row {
  let next = 0
  return {
    name: NAME,
    limit: { name: 'sync', run: async () => limit },
    run: async () => samples[Math.min(next++, samples.length - 1)] ?? limit,
  }
}

async function collected(all: AsyncIterable<Figure>): Promise<Figure[]> {
  const list: Figure[] = []
  for await (const figure of all) list.push(figure)
  return list
}
