import { utf8 } from '../../../../src/core/bytes.ts'
import { type Identity, parseIdentity } from '../../../../src/core/identity.ts'
import type { JudgeRequest, Verdict } from '../../../../src/db/fold/judge.ts'
import { JUDGE_VERSION } from '../../../../src/db/sandbox/index.ts'

export const WRITER: Identity = parseIdentity('bbaareihkjjwghyu4kifl55kqpmjs5rpzsvdxnlv6xz5zeqq65jurirwsfq')

/** 2020-09-13T12:26:40.123Z and some ns. */
export const TIME_NS = 1_600_000_000_123_456_789n
export const TIME_MS = 1_600_000_000_123

/** A create of a document, to be judged. */
export function request(validator: string, document: object = {}, instance?: object): JudgeRequest {
  return {
    validator,
    judge: JUDGE_VERSION,
    writer: WRITER,
    time: TIME_NS,
    instance: instance && utf8(JSON.stringify(instance)),
    event: {
      id: 'a',
      type: 'create',
      patch: utf8(JSON.stringify(document)),
      timestamp: TIME_NS,
      collection: 'Things',
      instanceId: 'a',
    },
  }
}

/** Accepted, or the reason and the message without Go's words in front. */
export function summary(verdict: Verdict | undefined): string {
  if (verdict === undefined) return 'no verdict'
  if (verdict.accepted) return 'accepted'
  const message = verdict.message.replace(/^(app denied net record body|running write validator func)(: )?/, '')
  return `${verdict.reason}: ${message}`
}
