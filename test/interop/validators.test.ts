import { afterAll, expect } from 'vitest'
import { parseIdentity } from '../../src/core/identity.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { createSandbox } from '../../src/db/sandbox/index.ts'
import { CollectionModel } from '../support/collection-model.ts'
import { testVectors, type VectorCase } from '../support/vectors.ts'

const HOST = 'bbaareihkjjwghyu4kifl55kqpmjs5rpzsvdxnlv6xz5zeqq65jurirwsfq'
const COLLECTION = 'Things'
const DENIED = 'app denied net record body'
const MODEL_ID = '01hzzzzzzzzzzzzzzzzzzzzzzz'

const sandbox = createSandbox({ logger: silentLogger })
afterAll(() => sandbox.close())

/** Bodies that Go's engine refuses because it stands at ECMAScript 5, or because it puts the last brace into a comment. */
const NOW_ACCEPTED = new Set([
  'a comment only',
  'trailing line comment eats the closing brace',
  'body: let a = 1',
  'body: const a = 1; return true',
  'body: return () => true',
  'body: return `x`',
  'body: class A {}',
  'body: async function f() {}',
  'body: var {a} = {a:1}',
  'body: for (var x of [1]) {}',
  'body: return 0b1',
  'body: return a ?? b',
  'body: return a?.b',
  'body: return 2 ** 3',
  'body: return new.target',
  'body: return /(?<n>a)/',
  'let',
])

/** Bodies that end the function and go on with code of their own. */
const NOW_REFUSED = new Set(['closing brace and a second function', 'closing brace and code that runs at load'])

/** Answers that are not Go's, by case and step. `ok` stands for no error and no result. */
const OUR_ANSWERS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  // Faults of Go.
  'validator returns this': { 0: `${DENIED}: map[]` },
  'tabs are removed, also inside strings': { 0: DENIED },
  'tab that separates tokens': { 0: 'ok' },
  'typeof writer in verify without a token': { 0: `${DENIED}: string` },
  'writer, by host and by users': { 3: `${DENIED}: ${HOST}` },
  'verify of an unknown instance is a save, not a create': { 0: `${DENIED}: create` },
  'tampering with a built-in stays': { 1: `${DENIED}: create` },
  'quotes and backslashes in data': {
    0: `${DENIED}: "it's"`,
    1: `${DENIED}: "say \\"hi\\""`,
    2: `${DENIED}: "back\\\\slash"`,
    3: `${DENIED}: "line\\nbreak"`,
    7: `${DENIED}: "\\u0000"`,
    8: `${DENIED}: "'+(function(){return 'pwned'})()+'"`,
    10: 'the document has a number out of range',
  },
  'quote in the stored instance': { 0: 'ok' },
  'quote in an id': { 0: 'ok' },
  'hidden from all but one': { 7: 'instance not found' },
  'hidden first match, no limit': { 2: '[{"_id":"b","_mod":$NS,"n":2}]' },
  'quotes and backslashes in stored data': {
    1: `{"_id":"a","_mod":$NS,"s":"it's"}`,
    3: '{"_id":"b","_mod":$NS,"s":"q\\"q"}',
    5: '{"_id":"c","_mod":$NS,"s":"b\\\\b"}',
    7: '{"_id":"d","_mod":$NS,"s":"n\\nn"}',
  },
  'the example of the js client: deny on a name': { 4: DENIED },
  // No state stays from one call to the next, and nothing is left to chance.
  'globals persist between calls': { 2: 'ok', 3: 'ok' },
  'this is the global object': { 1: `${DENIED}: flag 1` },
  'validator and filter share one engine': { 1: '{"s":"unset"}' },
  '_validate is visible': { 0: `${DENIED}: functionundefined` },
  'runs: return typeof Date.now() + typeof Math.random()': {
    0: 'running write validator func: Error: Math.random',
  },
  // Newer ECMAScript.
  'body: return typeof Symbol': { 0: `${DENIED}: function` },
  'runs: return new Map()': { 0: `${DENIED}: map[]` },
  'runs: return new Set()': { 0: `${DENIED}: map[]` },
  'runs: return Promise.resolve(true)': { 0: `${DENIED}: map[]` },
  "runs: return ''.repeat(-1)": { 0: 'running write validator func: RangeError: count' },
  "runs: return 'abc'.includes('b')": { 0: 'ok' },
  "runs: return 'abc'.startsWith('a')": { 0: 'ok' },
  'runs: return [1].includes(1)': { 0: 'ok' },
  'runs: return Object.assign({}, {a:1}).a === 1': { 0: 'ok' },
  'runs: return [1,2].find(function(x){return x>1}) === 2': { 0: 'ok' },
  'runs: return Number.isInteger(5)': { 0: 'ok' },
  'runs: return typeof Symbol': { 0: `${DENIED}: function` },
  'runs: return typeof Uint8Array': { 0: `${DENIED}: function` },
  'runs: return typeof Proxy': { 0: `${DENIED}: function` },
  'runs: return typeof Reflect': { 0: `${DENIED}: object` },
  'runs: return typeof globalThis': { 0: `${DENIED}: object` },
  'runs: return typeof BigInt': { 0: `${DENIED}: function` },
  'runs: return Array.from([1]).length === 1': { 0: 'ok' },
  "runs: return 'x'.padStart(3)": { 0: `${DENIED}:   x` },
  'runs: return Object.keys({b:1,a:2,1:3}).join()': { 0: `${DENIED}: 1,b,a` },
  // What each engine may do in its own way.
  "runs: return 'ß'.localeCompare('s')": { 0: `${DENIED}: 108` },
  'runs: return new Date(0).toString()': { 0: `${DENIED}: Thu Jan 01 1970 00:00:00 GMT+0000` },
}

/** Answers where Go's process dies, after one document was created: to that create, and to a look at the document. */
const AFTER_CRASHES: Readonly<Record<string, readonly [string, string]>> = {
  'filter returns a cyclic object': ['ok', 'json: unsupported value: cyclic, or deeper than 128 levels'],
  'validator returns a cyclic object': [`${DENIED}: ${'map[a:'.repeat(11)}...${']'.repeat(11)}`, 'instance not found'],
}

testVectors('validators.json', {
  case: async (one, head) => {
    const name = one.string('name')
    const writeValidator = one.has('writeValidator') ? one.string('writeValidator') : ''
    const readFilter = one.has('readFilter') ? one.string('readFilter') : ''
    const accepted = (one.boolean('accepted') || NOW_ACCEPTED.has(name)) && !NOW_REFUSED.has(name)

    const check = await outcomeOf(async () => {
      if (one.has('writeValidator')) await sandbox.checkFunction(writeValidator, 'write-validator')
      if (one.has('readFilter')) await sandbox.checkFunction(readFilter, 'read-filter')
    })
    expect(check).toMatch(accepted ? /^ok$/ : /^compiling js func: SyntaxError: ./)
    if (!accepted) return

    const setup = { sandbox, host: parseIdentity(HOST), name: COLLECTION, writeValidator, readFilter }
    const model = new CollectionModel(setup)
    const crash = AFTER_CRASHES[name]
    if (crash !== undefined) {
      expect(await outcomeOf(() => model.run('create', '{"_id":"a"}', undefined))).toBe(crash[0])
      expect(await outcomeOf(() => model.run('findByID', 'a', undefined))).toBe(crash[1])
    }
    for (const [index, step] of (one.has('steps') ? one.list('steps') : []).entries()) {
      const caller = step.has('by') ? parseIdentity(head.string(step.string('by'))) : undefined
      const outcome = await outcomeOf(() => model.run(step.string('op'), step.string('arg'), caller))
      const ours = OUR_ANSWERS[name]?.[index]
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
  return answer
    .replace(/ at (\w+ )?\((<eval>:[\d:()]+|native)\)$/, '')
    .replace('func(goja.FunctionCall) goja.Value', 'function')
    .replace(/\\u(003c|003e|0026|2028)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/\b16\d{17}\b/g, '$NS')
    .replaceAll('$ULID', MODEL_ID)
    .replaceAll('$COLLECTION', COLLECTION)
    .replaceAll('$PTR', 'func')
    .replaceAll('$HOST', HOST)
}
