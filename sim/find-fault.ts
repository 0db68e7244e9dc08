import type { Fault } from './faults.ts'
import { type Outcome, PLAIN_TASK, SimThread } from './pool.ts'

/** The first network, from a seed on, that fails with a fault and does not without it; `undefined` if there is none. */
export async function findFault(
  fault: Fault,
  { from, seeds, forks = false }: { from: number; seeds: number; forks?: boolean },
): Promise<Outcome | undefined> {
  const thread = new SimThread({ fault, forks })
  const sound = new SimThread({ forks })
  try {
    for (let seed = from; seed < from + seeds; seed++) {
      const outcome = await thread.run({ ...PLAIN_TASK, seed })
      if (outcome.failure === undefined) continue
      if ((await sound.run({ ...PLAIN_TASK, seed })).failure === undefined) return outcome
    }
    return undefined
  } finally {
    await Promise.all([thread.close(), sound.close()])
  }
}
