import { textOfUtf8 } from '../../core/bytes.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Sandbox } from './index.ts'
import { type Budget, MAX_SOURCE_CHARS } from './limits.ts'
import type { Answer, SandboxCall, SandboxFunction } from './messages.ts'
import { SandboxPool } from './pool.ts'
import { shownOf } from './shown.ts'
import { COMPILING, judgeCalls, limitReached, validatorsOf, verdictOf } from './verdict.ts'

/** How often a verdict is tried for. */
const JUDGE_TRIES = 3

/** Of one message to a thread. */
const MAX_CALLS = 1000
const MAX_TEXT_CHARS = 16 * 1024 * 1024

export interface SandboxOptions {
  logger: Logger
  /** What `Date` shows to read filters. Default: the system's. */
  clock?: Clock
  /** Works run side by side, at most 64; beside them up to 4 of functions that are slow. Default 2. */
  threads?: number
  /**
   * A call that takes longer, in ms, is ended with its thread, and was not judged. The limits of steps and work end any
   * call before, within seconds; this is for machines that are much slower, and engines that break. At most an hour;
   * default 60,000.
   */
  wallClockMs?: number
}

const MAX_THREADS = 64
const MAX_WALL_CLOCK_MS = 3_600_000

/**
 * Threads start with the first call, and keep the process alive only while they work. Throws TypeError for an option out
 * of range.
 */
export function createSandbox(options: SandboxOptions): Sandbox {
  const { logger, clock = systemClock, threads = 2, wallClockMs = 60_000 } = options
  requireRange('threads', threads, MAX_THREADS)
  requireRange('wallClockMs', wallClockMs, MAX_WALL_CLOCK_MS)
  const pool = new SandboxPool({ logger: logger.child('sandbox'), threads, wallClockMs })
  return {
    async checkFunction(source, form) {
      if (source.length > MAX_SOURCE_CHARS) {
        throw new ThreadsError('INVALID_FUNCTION', `${COMPILING}: longer than ${MAX_SOURCE_CHARS} characters`)
      }
      const call: SandboxCall = { fn: 0, timeMs: 0, who: undefined, first: undefined, second: undefined }
      const batch: Batch = { functions: [{ form, source }], calls: [call], budget: 'author', tries: 1 }
      for (const answer of await runBatch(pool, batch)) {
        if (answer.word === 'compiled') continue
        const limit = limitReached(answer)
        const reason = limit === undefined ? answer.text : `it ${limit}`
        throw new ThreadsError('INVALID_FUNCTION', `${COMPILING}: ${reason}`)
      }
    },
    async judge(requests, { budget = 'judge' } = {}) {
      const functions = validatorsOf(requests)
      const calls = judgeCalls(requests, functions)
      const answers = await runBatch(pool, { functions, calls, budget, tries: JUDGE_TRIES })
      return answers.map(verdictOf)
    },
    async filter(source, reader, documents) {
      const timeMs = clock.nowMs()
      const calls = documents.values().map((document): SandboxCall => {
        return { fn: 0, timeMs, who: reader, first: textOfUtf8(document), second: undefined }
      })
      const functions: SandboxFunction[] = [{ form: 'read-filter', source }]
      const answers = await runBatch(pool, { functions, calls, budget: 'judge', tries: 1 })
      return answers.map((answer, index) => shownOf(answer, documents[index]))
    },
    close: () => pool.close(),
  }
}

function requireRange(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new TypeError(`${name} is ${value}, must be an integer from 1 to ${max}`)
  }
}

interface Batch {
  functions: readonly SandboxFunction[]
  calls: Iterable<SandboxCall>
  budget: Budget
  tries: number
}

/** One message after the other, each of limited size, so that a batch of large documents is never in memory as a whole. */
async function runBatch(pool: SandboxPool, { functions, calls, budget, tries }: Batch): Promise<Answer[]> {
  const answers: Answer[] = []
  let part: SandboxCall[] = []
  let chars = 0
  const flush = async (): Promise<void> => {
    while (part.length > 0) {
      const answered = await pool.run({ functions, calls: part, budget }, tries)
      answers.push(...answered)
      part = part.slice(answered.length)
    }
    chars = 0
  }
  for (const call of calls) {
    part.push(call)
    chars += (call.first?.length ?? 0) + (call.second?.length ?? 0)
    if (part.length >= MAX_CALLS || chars >= MAX_TEXT_CHARS) await flush()
  }
  await flush()
  return answers
}
