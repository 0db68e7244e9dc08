import { textOfUtf8, utf8 } from '../../../src/core/bytes.ts'
import { hasCode } from '../../../src/core/errors.ts'
import { type Identity, parseIdentity } from '../../../src/core/identity.ts'
import type { JudgeRequest, Verdict } from '../../../src/db/fold/judge.ts'
import { JUDGE_VERSION, type Sandbox } from '../../../src/db/sandbox/index.ts'
import type { Answer, SandboxFunction, Work } from '../../../src/db/sandbox/messages.ts'
import { shownOf } from '../../../src/db/sandbox/shown.ts'
import { judgeCalls, verdictOf } from '../../../src/db/sandbox/verdict.ts'
import type { Attack } from './attack.ts'

const WRITER: Identity = parseIdentity('bbaareihkjjwghyu4kifl55kqpmjs5rpzsvdxnlv6xz5zeqq65jurirwsfq')

/** 2020-09-13T12:26:40.123Z and some ns. */
const TIME_NS = 1_600_000_000_123_456_789n
export const TIME_MS = 1_600_000_000_123

/** What comes of an attack in a sandbox, as `Attack.expected` has it. Validators get what an author's host allows. */
export async function runAttack(sandbox: Sandbox, attack: Attack): Promise<string> {
  if (attack.kind === 'filter') {
    const texts = attack.documents.map((document) => utf8(JSON.stringify(document)))
    return outcomeOfFilter(() => sandbox.filter(attack.source, WRITER, texts))
  }
  const verdicts = await sandbox.judge(requestsOf(attack), { budget: 'author' })
  return verdicts.map(outcomeOf).join(' | ')
}

/** The same for an engine without a sandbox around it, which is handed works and answers them. */
export async function runAttackOn(run: (work: Work) => Promise<Answer[]>, attack: Attack): Promise<string> {
  const { kind, source, documents } = attack
  if (kind === 'validator') {
    const functions: SandboxFunction[] = [{ form: 'write-validator', source }]
    const answers = await run({ functions, calls: [...judgeCalls(requestsOf(attack), functions)], budget: 'author' })
    return answers.map((answer) => outcomeOf(verdictOf(answer))).join(' | ')
  }
  const texts = documents.map((document) => JSON.stringify(document))
  const calls = texts.map((first) => ({ fn: 0, timeMs: TIME_MS, who: WRITER, first, second: undefined }))
  const answers = await run({ functions: [{ form: 'read-filter', source }], calls, budget: 'judge' })
  return outcomeOfFilter(async () => answers.map((answer, i) => shownOf(answer, utf8(texts[i] ?? ''))))
}

function requestsOf({ source, documents, instance }: Attack): JudgeRequest[] {
  return documents.map((document): JudgeRequest => {
    const patch = utf8(JSON.stringify(document))
    const event = { id: 'a', type: 'create', patch, timestamp: TIME_NS, collection: 'Things', instanceId: 'a' } as const
    const stored = instance === undefined ? undefined : utf8(JSON.stringify(instance))
    return { validator: source, judge: JUDGE_VERSION, writer: WRITER, time: TIME_NS, instance: stored, event }
  })
}

/** Accepted, or the reason and the message without the words that stand before every refusal. */
function outcomeOf(verdict: Verdict): string {
  if (verdict.accepted) return 'accepted'
  const message = verdict.message.replace(/^(app denied net record body|running write validator func)(: )?/, '')
  return `${verdict.reason}: ${message}`
}

async function outcomeOfFilter(show: () => Promise<(Uint8Array | undefined)[]>): Promise<string> {
  try {
    const shown = await show()
    return shown.map((bytes) => (bytes === undefined ? 'hidden' : `shown ${textOfUtf8(bytes)}`)).join(' | ')
  } catch (error) {
    if (!hasCode(error, 'READ_FILTER_FAILED') || !(error instanceof Error)) throw error
    return `failed: ${error.message.replace(/^running read filter func: /, '')}`
  }
}
