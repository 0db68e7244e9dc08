import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { type Fault, FAULTS } from '../../sim/faults.ts'
import { type Outcome, PLAIN_TASK, runAll, SimThread } from '../../sim/pool.ts'

const SEEDS = 40
const TIMEOUT_MS = 300_000
/** Seeds tried for a fault, from the one that is known to find it. `npm run sim -- --faults` begins with the first. */
const FAULT_SEEDS = 100

/** Seeds that showed the faults when they were last looked for; another one shows them when runs have changed. */
const SHOWN_BY: Partial<Record<Fault, number>> = {}

describe('a simulated network', () => {
  it(
    `agrees on everything in the end, with each of ${SEEDS} seeds`,
    async () => {
      const failed: string[] = []
      const tasks = Array.from({ length: SEEDS }, (_, index) => ({ ...PLAIN_TASK, seed: index + 1 }))
      const onOutcome = ({ seed, failure }: Outcome): void => {
        if (failure !== undefined) failed.push(`npm run sim -- --seed ${seed}   # ${failure}`)
      }
      await runAll(tasks.values(), { workers: Math.min(2, availableParallelism()), onOutcome })
      expect(failed).toEqual([])
    },
    TIMEOUT_MS,
  )

  it('does the same again with the same seed, and something else with another', async () => {
    const [one, two] = [new SimThread(), new SimThread()]
    const first = await one.run({ ...PLAIN_TASK, seed: 7, lines: 1_000 })
    const other = await one.run({ ...PLAIN_TASK, seed: 8 })
    const again = await two.run({ ...PLAIN_TASK, seed: 7, lines: 1_000 })
    await Promise.all([one.close(), two.close()])
    expect(again).toEqual(first)
    expect(other.trace).not.toBe(first.trace)
  })
})

describe('a fault made on purpose', () => {
  it.concurrent.each(FAULTS)(
    '%s is found',
    async (fault) => {
      const thread = new SimThread(fault)
      const from = SHOWN_BY[fault] ?? 1
      const shown: string[] = []
      for (let seed = from; seed < from + FAULT_SEEDS && shown.length === 0; seed++) {
        const { failure } = await thread.run({ ...PLAIN_TASK, seed })
        if (failure !== undefined) shown.push(failure)
      }
      await thread.close()
      expect(shown).not.toEqual([])
    },
    TIMEOUT_MS,
  )
})
