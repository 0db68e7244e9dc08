import { type Cut, cutPlan, partsOf } from './cut.ts'
import { makePlan } from './plan.ts'
import { SeededRandom } from './random.ts'
import type { RunResult } from './run.ts'

export interface Shrinking {
  readonly seed: number
  /** What is left out already. */
  readonly cut: Cut
  /** How the run fails. */
  readonly result: RunResult
  /** Time after which the smallest failing run found so far has to do. */
  readonly budgetMs: number
}

export interface Shrunken {
  readonly cut: Cut
  readonly result: RunResult
}

/** Leaves out hosts, troubles and steps as long as the run still fails in the same way. */
export async function shrink(
  { seed, cut, result, budgetMs }: Shrinking,
  attempt: (cut: Cut) => Promise<RunResult>,
): Promise<Shrunken> {
  const endMs = performance.now() + budgetMs
  const kind = kindOf(result)
  let best: Shrunken = { cut, result }
  const tryWithout = async (parts: readonly string[]): Promise<boolean> => {
    const less = new Set([...best.cut, ...parts])
    if (less.size === best.cut.size || performance.now() > endMs) return false
    const smaller = await attempt(less)
    if (kindOf(smaller) !== kind) return false
    best = { cut: less, result: smaller }
    return true
  }
  const plan = cutPlan(makePlan(new SeededRandom(String(seed)).fork('plan')), cut)
  const { features, hosts, steps } = partsOf(plan)
  const late = plan.steps.filter(({ atMs }) => atMs > result.simulatedMs).map(({ number }) => String(number))
  await tryWithout(late)
  await tryWithout(features)
  for (const host of hosts.toReversed()) await tryWithout([host])
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < steps.length; from += size) await tryWithout(steps.slice(from, from + size))
  }
  for (const part of [...hosts.toReversed(), ...features]) await tryWithout([part])
  return best
}

/** The beginning of the first failure, without what differs from run to run. */
function kindOf({ failures: [failure] }: RunResult): string | undefined {
  return failure
    ?.replaceAll(/\b[A-G]\b/g, 'a host')
    .replaceAll(/\d+/g, '#')
    .split(' ')
    .slice(0, 5)
    .join(' ')
}
