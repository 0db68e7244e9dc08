import { afterAll, expect } from 'vitest'
import { parseIdentity } from '../../src/core/identity.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { createSandbox } from '../../src/db/sandbox/index.ts'
import { CollectionModel } from '../support/collection-model.ts'
import { testVectors, type VectorCase } from '../support/vectors.ts'
import { answerIn, FUNCTIONS, HOST, VALIDATOR_CRASHES, VALIDATORS } from './differences.ts'

const COLLECTION = 'Things'
const MODEL_ID = '01hzzzzzzzzzzzzzzzzzzzzzzz'

const sandbox = createSandbox({ logger: silentLogger })
afterAll(() => sandbox.close())

testVectors('validators.json', {
  case: async (one, head) => {
    const name = one.string('name')
    const writeValidator = one.has('writeValidator') ? one.string('writeValidator') : ''
    const readFilter = one.has('readFilter') ? one.string('readFilter') : ''
    const accepted = answerIn(FUNCTIONS, name) ?? one.boolean('accepted')

    const check = await outcomeOf(async () => {
      if (one.has('writeValidator')) await sandbox.checkFunction(writeValidator, 'write-validator')
      if (one.has('readFilter')) await sandbox.checkFunction(readFilter, 'read-filter')
    })
    expect(check).toMatch(accepted ? /^ok$/ : /^compiling js func: SyntaxError: ./)
    if (!accepted) return

    const setup = { sandbox, host: parseIdentity(HOST), name: COLLECTION, writeValidator, readFilter }
    const model = new CollectionModel(setup)
    const crash = answerIn(VALIDATOR_CRASHES, name)
    if (crash !== undefined) {
      expect(await outcomeOf(() => model.run('create', '{"_id":"a"}', undefined))).toBe(crash[0])
      expect(await outcomeOf(() => model.run('findByID', 'a', undefined))).toBe(crash[1])
    }
    for (const [index, step] of (one.has('steps') ? one.list('steps') : []).entries()) {
      const caller = step.has('by') ? parseIdentity(head.string(step.string('by'))) : undefined
      const outcome = await outcomeOf(() => model.run(step.string('op'), step.string('arg'), caller))
      const ours = answerIn(VALIDATORS, name)?.[index]
      if (step.fault) expect(ours, `right answer of step ${index}`).toBeDefined()
      expect(comparable(outcome), `step ${index}`).toBe(comparable(ours ?? answerOf(step)))
    }
  },
})

/** An operation's result or failure as one text. */
async function outcomeOf(run: () => Promise<undefined | boolean | string | string[]>): Promise<string> {
  try {
    const result = await run()
    if (result === undefined) return 'ok'
    return Array.isArray(result) ? `[${result.join(',')}]` : String(result)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function answerOf(step: VectorCase): string {
  if (step.has('error')) return step.string('error')
  if (!step.has('result')) return 'ok'
  const result = step.value('result')
  return Array.isArray(result) ? `[${result.join(',')}]` : String(result)
}

/** The text without what differs from run to run, and without what another engine words in another way. */
function comparable(answer: string): string {
  const exception = /^running .* func: \w*Error: /.exec(answer)?.[0]
  if (exception !== undefined) return exception
  return (
    answer
      .replace(/ at (\w+ )?\((<eval>:[\d:()]+|native)\)$/, '')
      // Where the original says at which place, we say what is allowed.
      .replace(/(timed out): more than \d+ steps$/, '$1')
      .replace('func(goja.FunctionCall) goja.Value', 'function')
      .replace(/\\u(003c|003e|0026|2028)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      .replace(/\b16\d{17}\b/g, '$NS')
      .replaceAll('$ULID', MODEL_ID)
      .replaceAll('$COLLECTION', COLLECTION)
      .replaceAll('$PTR', 'func')
      .replaceAll('$HOST', HOST)
  )
}
