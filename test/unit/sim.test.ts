import { describe, expect, it, vi } from 'vitest'
import { cutText, parseCut } from '../../sim/cut.ts'
import { type Fault, FAULTS } from '../../sim/faults.ts'
import { findFault } from '../../sim/find-fault.ts'
import { type MutantName, MUTANTS, placesOf } from '../../sim/mutants.ts'
import { type Outcome, PLAIN_TASK, runAll, SimThread } from '../../sim/pool.ts'

const SEEDS = 60
const WORKERS = 2
const TIMEOUT_MS = 300_000

vi.setConfig({ maxConcurrency: WORKERS })

/** Seeds tried for a fault, from the one that is known to show it. `npm run sim -- --faults` begins with the first. */
const FAULT_SEEDS = 100
/** Where runs have changed since, another seed shows the fault. */
const SHOWN_BY: Partial<Record<Fault, number>> = {
  'stale-refusal': 23,
  'peers-told-early': 9,
  'log-continued': 13,
  'half-deleted': 16,
}

/** The commands that repeat the seeds that fail. */
async function failuresOf(seeds: number): Promise<string[]> {
  const failed: string[] = []
  const tasks = Array.from({ length: seeds }, (_, index) => ({ ...PLAIN_TASK, seed: index + 1 }))
  const onOutcome = ({ seed, failure }: Outcome): void => {
    if (failure !== undefined) failed.push(`npm run sim -- --seed ${seed}   # ${failure}`)
  }
  await runAll(tasks.values(), { workers: WORKERS, onOutcome })
  return failed
}

describe('a simulated network', () => {
  it(
    `agrees on everything in the end, with each of ${SEEDS} seeds`,
    async () => {
      expect(await failuresOf(SEEDS)).toEqual([])
    },
    TIMEOUT_MS,
  )

  it(
    'does the same again with the same seed, and something else with another',
    async () => {
      const [one, two] = [new SimThread(), new SimThread()]
      const first = await one.run({ ...PLAIN_TASK, seed: 7, lines: 1_000 })
      const other = await one.run({ ...PLAIN_TASK, seed: 8 })
      const again = await two.run({ ...PLAIN_TASK, seed: 7, lines: 1_000 })
      await Promise.all([one.close(), two.close()])
      expect(again).toEqual(first)
      expect(other.trace).not.toBe(first.trace)
    },
    TIMEOUT_MS,
  )
})

describe('a network that fails', () => {
  it(
    'is made smaller, and what is left fails alike',
    async () => {
      const thread = new SimThread({ fault: 'null-kept' })
      const shrunken = await thread.run({ ...PLAIN_TASK, seed: 1, shrinkMs: 15_000 })
      const again = await thread.run({ ...PLAIN_TASK, seed: 1, without: shrunken.without, lines: 1_000 })
      await thread.close()
      expect(shrunken.failure).toMatch(/^[A-G] stores other instances than expected/)
      expect(parseCut(shrunken.without).size).toBeGreaterThan(20)
      expect(again.failure).toBe(shrunken.failure)
      expect(again.story.length).toBeLessThan(200)
    },
    TIMEOUT_MS,
  )

  it('is cut by what its command says', () => {
    const cut = new Set(['B', 'drop', '3', '4', '5', '9'])
    expect(cutText(cut)).toBe('B,drop,3-5,9')
    expect(parseCut(cutText(cut))).toEqual(cut)
    expect(() => parseCut('A')).toThrow(TypeError)
    expect(() => parseCut('rain')).toThrow('--without names rain')
  })
})

describe('a mistake made on purpose', () => {
  it.each(Object.keys(MUTANTS) as MutantName[])('%s has its place in the sources', (name) => {
    expect(placesOf(name)).toBe(1)
  })

  it.concurrent.each(FAULTS)(
    '%s is found',
    async (fault) => {
      const found = await findFault(fault, { from: SHOWN_BY[fault] ?? 1, seeds: FAULT_SEEDS })
      expect(found, `${fault} is not found`).toBeDefined()
    },
    TIMEOUT_MS,
  )
})
