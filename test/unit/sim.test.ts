import { describe, expect, it } from 'vitest'
import { FAULTS } from '../../sim/faults.ts'
import { run } from '../../sim/run.ts'

const SEEDS = 40
const FAULT_SEEDS = 200
const TIMEOUT_MS = 300_000

describe('a simulated network', () => {
  it(
    `agrees on everything in the end, with each of ${SEEDS} seeds`,
    async () => {
      const startedMs = performance.now()
      const failed: string[] = []
      let simulatedMs = 0
      for (let seed = 1; seed <= SEEDS; seed++) {
        const result = await run(seed)
        simulatedMs += result.simulatedMs
        if (result.failures.length > 0) failed.push(`npm run sim -- --seed ${seed}   # ${result.failures[0]}`)
      }
      const ratio = Math.round(simulatedMs / (performance.now() - startedMs))
      console.log(`${(simulatedMs / 60_000).toFixed(0)} simulated minutes, ${ratio} to 1`)
      expect(failed).toEqual([])
    },
    TIMEOUT_MS,
  )

  it('does the same again with the same seed, and something else with another', async () => {
    const [first, again, other] = [await run(7), await run(7), await run(8)]
    expect(again).toEqual(first)
    expect(other.trace).not.toBe(first.trace)
  })
})

describe('a fault made on purpose', () => {
  it.each(FAULTS)(
    `%s is found within ${FAULT_SEEDS} seeds`,
    async (fault) => {
      for (let seed = 1; seed <= FAULT_SEEDS; seed++) {
        if ((await run(seed, fault)).failures.length > 0) {
          // Of the fault, not of the code that is tested.
          expect((await run(seed)).failures).toEqual([])
          return
        }
      }
      expect.fail(`${fault} is not found`)
    },
    TIMEOUT_MS,
  )
})
