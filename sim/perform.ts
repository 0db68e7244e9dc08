import { cutText, parseCut } from './cut.ts'
import { EngineJudge } from './judge.ts'
import type { Outcome, Task, WorkerSetup } from './pool.ts'
import { run, type RunOptions, type RunResult } from './run.ts'
import { shrink } from './shrink.ts'

/** Lines told of a run that failed: its beginning and its end. */
const FIRST_LINES = 10
const LAST_LINES = 70

/** What runs networks, all with the same setup. */
export function performer({ fault }: WorkerSetup): (task: Task) => Promise<Outcome> {
  const engine = new EngineJudge()
  return (task) => perform(task, { fault, engine })
}

/** Runs a network; if it fails, finds a smaller one that fails alike, as far as the task has time for it. */
async function perform(task: Task, options: RunOptions): Promise<Outcome> {
  const { seed, shrinkMs } = task
  const cut = parseCut(task.without)
  const result = await attempt(seed, { ...options, cut })
  const { simulatedMs, steps, trace, failures } = result
  const told = task.everything ? result.everything : result.story
  const outcome = { seed, simulatedMs, steps, trace }
  const [failure] = failures
  if (failure === undefined || shrinkMs === 0) {
    return { ...outcome, failure, without: task.without, story: shortened(told, task.lines) }
  }
  const smaller = await shrink({ seed, cut, result, budgetMs: shrinkMs }, (less) =>
    attempt(seed, { ...options, cut: less }),
  )
  const story = shortened(smaller.result.story, FIRST_LINES + LAST_LINES)
  return { ...outcome, failure: smaller.result.failures[0], without: cutText(smaller.cut), story }
}

function shortened(lines: readonly string[], most: number): string[] {
  if (lines.length <= most) return [...lines]
  const first = lines.slice(0, Math.min(FIRST_LINES, most))
  const last = lines.slice(lines.length - (most - first.length))
  return [...first, `   ... ${lines.length - first.length - last.length} lines ...`, ...last]
}

/** What a run throws, and rejections that nobody handles, are failures too. */
async function attempt(seed: number, options: RunOptions): Promise<RunResult> {
  const unhandled: string[] = []
  const note = (reason: unknown): void => {
    unhandled.push(`nobody handles a rejection: ${reason instanceof Error ? reason.stack : String(reason)}`)
  }
  process.on('unhandledRejection', note)
  try {
    const result = await run(seed, options)
    return { ...result, failures: [...result.failures, ...unhandled] }
  } catch (error) {
    const failures = [`the run breaks off: ${error instanceof Error ? error.stack : String(error)}`, ...unhandled]
    return { failures, story: failures, everything: failures, trace: '', simulatedMs: 0, steps: 0 }
  } finally {
    process.off('unhandledRejection', note)
  }
}
