import { textOfUtf8 } from '../src/core/bytes.ts'
import { ThreadsError } from '../src/core/errors.ts'
import type { Sandbox } from '../src/db/sandbox/index.ts'
import type { PlainJudge } from '../test/support/fold-oracle.ts'
import type { Fault } from './faults.ts'
import type { SeededRandom } from './random.ts'
import type { Life, Scheduler } from './scheduler.ts'

/** The validator of the simulation: what it says depends on the document before the record. */
export const GUARD = 'n never falls by more than 3; what has n of 7 or more stays'

/** Judges as a validator would, without an engine. */
export const guard: PlainJudge = (_validator, { event, instance }) => {
  if (instance === undefined) return undefined
  const { n } = JSON.parse(instance)
  if (event.type === 'delete') return n >= 7 ? { reason: 'denied', message: 'it stays' } : undefined
  const patch = JSON.parse(event.patch ?? '{}')
  return patch.n < n - 3 ? { reason: 'denied', message: 'n falls' } : undefined
}

export interface SimSandboxComponents {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly life: Life
  readonly fault: Fault | undefined
  /** Probability that it cannot judge. */
  readonly down: () => number
}

/** A sandbox whose answers take time, and sometimes do not come. */
export function simSandbox({ scheduler, random, life, fault, down }: SimSandboxComponents): Sandbox {
  const isMoody = fault === 'moody-judge' && life.name === 'B'
  return {
    async checkFunction() {},
    async judge(requests) {
      if (requests.length === 0) return []
      if (random.chance(0.3)) await scheduler.sleep(random.unit() * 20, 'judges', life)
      if (random.chance(down())) throw new ThreadsError('SANDBOX_DOWN', 'the sandbox gave no answer')
      return requests.map(({ validator, writer, event, instance }) => {
        const { type, patch, ...rest } = event
        if (type === 'unknown') throw new ThreadsError('INTERNAL', 'an event of unknown type was judged')
        const plain = { ...rest, type, ...(patch === undefined ? {} : { patch: textOfUtf8(patch) }) }
        const text = instance === undefined ? undefined : textOfUtf8(instance)
        const refusal = isMoody ? undefined : guard(validator, { writer, event: plain, instance: text })
        return refusal === undefined
          ? { accepted: true }
          : { accepted: false, reason: 'denied', message: refusal.message }
      })
    },
    filter: async (_source, _reader, documents) => [...documents],
    async close() {},
  }
}
