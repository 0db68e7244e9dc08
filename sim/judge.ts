import { textOfUtf8 } from '../src/core/bytes.ts'
import { ThreadsError } from '../src/core/errors.ts'
import type { JudgeRequest, Verdict } from '../src/db/fold/judge.ts'
import { loadEngineBuild } from '../src/db/sandbox/engine-build.ts'
import type { Sandbox } from '../src/db/sandbox/index.ts'
import { Runner } from '../src/db/sandbox/runner.ts'
import { judgeCalls, validatorsOf, verdictOf } from '../src/db/sandbox/verdict.ts'
import type { PlainJudge } from '../test/support/fold-oracle.ts'
import type { Fault } from './faults.ts'
import type { SeededRandom } from './random.ts'
import type { Life, Scheduler } from './scheduler.ts'

/** A validator of the simulation. What it says depends on the document before the record. */
export interface Rule {
  /** As it is registered. */
  readonly source: string
  /** Why it refuses; `undefined` if it does not. */
  readonly refuses: (patch: { n?: number } | undefined, instance: { n: number }) => string | undefined
}

/** `n` never falls by more than `fall`; what has `n` of `stay` or more is not deleted. */
function rule(fall: number, stay: number): Rule {
  return {
    source: `
      if (!instance) return true
      if (!event.patch.json_patch) return instance.n >= ${stay} ? 'it stays' : true
      return event.patch.json_patch.n < instance.n - ${fall} ? 'n falls' : true`,
    refuses: (patch, { n }) => {
      if (patch === undefined) return n >= stay ? 'it stays' : undefined
      return (patch.n ?? n) < n - fall ? 'n falls' : undefined
    },
  }
}

export const RULES: readonly Rule[] = [rule(3, 7), rule(6, 9), rule(1, 4)]

const DENIED = 'app denied net record body'

/** Judges as the validators do, without an engine. */
export const plainJudge: PlainJudge = (validator, { event, instance }) => {
  if (instance === undefined) return undefined
  const patch = event.type === 'delete' ? undefined : JSON.parse(event.patch ?? '{}')
  const text = RULES.find(({ source }) => source === validator)?.refuses(patch, JSON.parse(instance))
  return text === undefined ? undefined : { reason: 'denied', message: `${DENIED}: ${text}` }
}

function verdictInWords({ validator, writer, event, instance }: JudgeRequest): Verdict {
  const { type, patch, ...rest } = event
  if (type === 'unknown') throw new ThreadsError('INTERNAL', 'an event of unknown type was judged')
  const plain = { ...rest, type, ...(patch === undefined ? {} : { patch: textOfUtf8(patch) }) }
  const text = instance === undefined ? undefined : textOfUtf8(instance)
  const refusal = plainJudge(validator, { writer, event: plain, instance: text })
  return refusal === undefined ? { accepted: true } : { accepted: false, reason: 'denied', message: refusal.message }
}

/** QuickJS in this thread, with the limits of the judge; loaded when it is first asked. */
export class EngineJudge {
  #runner: Promise<Runner> | undefined

  async verdicts(requests: readonly JudgeRequest[]): Promise<Verdict[]> {
    this.#runner ??= loadEngineBuild().then((build) => new Runner(build))
    const runner = await this.#runner
    const functions = validatorsOf(requests)
    const calls = [...judgeCalls(requests, functions)]
    const answers = await runner.run({ functions, calls, budget: 'judge' }, () => {})
    return answers.map(verdictOf)
  }
}

export interface SimSandboxComponents {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly life: Life
  readonly fault: Fault | undefined
  /** Absent: the judge is a function of the simulation. */
  readonly engine: EngineJudge | undefined
  /** Probability that it begins to fail over a document. */
  readonly down: () => number
}

/** For how long it fails over a document, in ms. */
const STUCK_MS = 40_000

/** A sandbox whose answers take time, and sometimes do not come. */
export function simSandbox({ scheduler, random, life, fault, engine, down }: SimSandboxComponents): Sandbox {
  const isMoody = fault === 'moody-judge' && life.name === 'B'
  /** Documents over which it fails, and until when. */
  const stuck = new Map<string, number>()
  const isStuck = ({ event }: JudgeRequest): boolean => (stuck.get(event.id) ?? 0) > scheduler.nowMs
  return {
    async checkFunction() {},
    async judge(requests) {
      if (requests.length === 0) return []
      if (random.chance(0.3)) await scheduler.sleep(random.unit() * 20, 'judges', life)
      if (random.chance(down())) stuck.set(random.pick(requests).event.id, scheduler.nowMs + random.unit() * STUCK_MS)
      if (requests.some(isStuck)) throw new ThreadsError('SANDBOX_DOWN', 'the sandbox gave no answer')
      if (isMoody) return requests.map(() => ({ accepted: true }))
      if (engine === undefined) return requests.map(verdictInWords)
      return scheduler.outside(engine.verdicts(requests))
    },
    filter: async (_source, _reader, documents) => [...documents],
    async close() {},
  }
}
