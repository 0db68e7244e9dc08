import { textOfUtf8 } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import { validatorView } from '../../core/events.ts'
import type { JudgeRequest, Verdict } from '../fold/judge.ts'
import { JUDGE_VERSION } from './limits.ts'
import type { Answer, SandboxCall, SandboxFunction } from './messages.ts'

const NS_PER_MS = 1_000_000n

// Clients look for these texts.
const DENIED = 'app denied net record body'
const RUNNING = 'running write validator func'
export const COMPILING = 'compiling js func'

/** The validators of requests, each once. Throws SANDBOX_DOWN if one is meant for an engine that is not here. */
export function validatorsOf(requests: readonly JudgeRequest[]): SandboxFunction[] {
  const sources = new Set<string>()
  for (const { validator, judge } of requests) {
    if (judge !== JUDGE_VERSION) {
      const hint = 'This version of the software does not have it; a newer one may.'
      throw new ThreadsError('SANDBOX_DOWN', `no engine ${judge} to judge with`, { hint })
    }
    sources.add(validator)
  }
  return Array.from(sources, (source) => ({ form: 'write-validator', source }))
}

/** The calls that decide requests, made one by one, since a call holds its document as text. */
export function* judgeCalls(
  requests: readonly JudgeRequest[],
  validators: readonly SandboxFunction[],
): Iterable<SandboxCall> {
  const index = new Map(validators.map(({ source }, fn) => [source, fn]))
  for (const { validator, writer, event, instance, time } of requests) {
    yield {
      fn: index.get(validator) ?? -1,
      timeMs: Number(time / NS_PER_MS),
      who: writer,
      first: validatorView(event),
      second: instance && textOfUtf8(instance),
    }
  }
}

export function verdictOf(answer: Answer): Verdict {
  const { word, text } = answer
  const limit = limitReached(answer)
  if (limit !== undefined) return { accepted: false, reason: 'limit', message: `${RUNNING}: validator ${limit}` }
  switch (word) {
    case 'accepted':
      return { accepted: true }
    case 'denied':
      return { accepted: false, reason: 'denied', message: DENIED }
    case 'denied-with':
      return { accepted: false, reason: 'denied', message: `${DENIED}: ${text}` }
    case 'threw':
      return { accepted: false, reason: 'threw', message: `${RUNNING}: ${text}` }
    case 'uncompilable':
      return { accepted: false, reason: 'threw', message: `${COMPILING}: ${text}` }
    default:
      throw new ThreadsError('INTERNAL', `a validator cannot answer ${word}`)
  }
}

/** Which limit a call reached, and what would have been allowed; undefined if it reached none. */
export function limitReached({ word, text }: Answer): string | undefined {
  switch (word) {
    case 'out-of-steps':
    case 'out-of-work':
      return `timed out: more than ${text}`
    case 'out-of-memory':
      return `ran out of memory: more than ${text}`
    case 'out-of-stack':
      return `ran out of stack: more than ${text}`
    default:
      return undefined
  }
}
