import type { Fault } from './faults.ts'
import { type Outcome, PLAIN_TASK, SimThread } from './pool.ts'

/** The first network, from a seed on, that fails with a fault and does not without it; `undefined` if there is none. */
export async function findFault(
  fault: Fault,
  { from, seeds }: { from: number; seeds: number },
): Promise<Outcome | undefined> {
  const thread = new SimThread({ fault })
  try {
    for (let seed = from; seed < from + seeds; seed++) {
      const outcome = await thread.run({ ...PLAIN_TASK, seed })
      if (outcome.failure !== undefined && (await agreesWithout(seed))) return outcome
    }
    return undefined
  } finally {
    await thread.close()
  }
}

async function agreesWithout(seed: number): Promise<boolean> {
  const sound = new SimThread()
  try {
    return (await sound.run({ ...PLAIN_TASK, seed })).failure === undefined
  } finally {
    await sound.close()
  }
}
