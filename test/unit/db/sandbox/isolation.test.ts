import { afterAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../../../src/core/logger.ts'
import { createSandbox } from '../../../../src/db/sandbox/index.ts'
import { request, summary, TIME_MS } from './requests.ts'

// One thread, so that all calls of a function meet in one engine.
const sandbox = createSandbox({ logger: silentLogger, threads: 1 })
afterAll(() => sandbox.close())

/** What a call tries to leave behind, and an expression that is true as long as it is not there. */
const LEFTOVERS: readonly [title: string, attack: string, clean: string][] = [
  ['a variable without declaration', 'leak = 1', 'typeof leak === "undefined"'],
  ['a member of this', 'this.leak = 1', 'this.leak === undefined'],
  [
    'a member of globalThis that cannot be deleted',
    'Object.defineProperty(globalThis, "leak", { value: 1 })',
    'typeof leak === "undefined"',
  ],
  ['a global getter', 'Object.defineProperty(this, "leak", { get() { return 1 } })', 'typeof leak === "undefined"'],
  ['a global object that takes no more members', 'Object.preventExtensions(this)', '(leak = 2, leak === 2)'],
  [
    'another prototype of the global object',
    'Object.setPrototypeOf(this, { leak: 1, __proto__: Object.getPrototypeOf(this) })',
    'typeof leak === "undefined"',
  ],
  ['a symbol on the global object', 'this[Symbol.for("leak")] = 1', 'this[Symbol.for("leak")] === undefined'],
  ['a variable of indirect eval', '(0, eval)("let leak = 1")', 'typeof leak === "undefined"'],
  [
    'a variable of eval under another name',
    'globalThis["ev" + "al"]("var evil = 1"); [eval][0]("const leak = 1")',
    'typeof leak === "undefined" && typeof evil === "undefined"',
  ],
  [
    'a variable of a broken-out Function',
    'Function("}); let leak = 1; (function () {")',
    'typeof leak === "undefined"',
  ],
  [
    'a variable of a broken-out constructor',
    '(function () {}).constructor("}); let leak = 1; (function () {")',
    'typeof leak === "undefined"',
  ],
  [
    'a variable of a broken-out GeneratorFunction',
    '(function* () {}).constructor("}); let leak = 1; (function* () {")',
    'typeof leak === "undefined"',
  ],
  [
    'a variable of a broken-out AsyncFunction',
    '(async () => 1).constructor("}); let leak = 1; (async function () {")',
    'typeof leak === "undefined"',
  ],
  [
    'a variable of a class that extends Function',
    'new (class extends Function {})("}); let leak = 1; (function () {")',
    'typeof leak === "undefined"',
  ],
  ['a member of the function itself', 'arguments.callee.leak = 1', 'arguments.callee.leak === undefined'],
  ['a member of its prototype', '_validate.prototype.leak = 1', '_validate.prototype.leak === undefined'],
  [
    'another JSON.parse',
    'JSON.parse = () => ({ forged: true })',
    'event.forged === undefined && JSON.parse("1") === 1',
  ],
  ['another JSON', 'JSON = null', 'JSON.parse("1") === 1'],
  ['a member of all objects', 'Object.prototype.leak = 1', '({}).leak === undefined'],
  ['a getter of all objects', 'Object.prototype.__defineGetter__("leak", () => 1)', '({}).leak === undefined'],
  ['a changed toString of all objects', 'Object.prototype.toString = () => "x"', 'String({}) === "[object Object]"'],
  [
    'another prototype of Object.prototype',
    'Object.setPrototypeOf(Object.prototype, { leak: 1 })',
    '({}).leak === undefined',
  ],
  ['another push', 'Array.prototype.push = () => 0', '(() => { const a = []; a.push(1); return a.length === 1 })()'],
  ['another exec', 'RegExp.prototype.exec = () => null', '/x/.test("x")'],
  ['another Date.now', 'Date.now = () => 0', `Date.now() === ${TIME_MS}`],
  ['another getTime', 'Date.prototype.getTime = () => 0', `new Date().getTime() === ${TIME_MS}`],
  ['another constructor of dates', 'Date.prototype.constructor = Object', 'new Date().constructor === Date'],
  ['another name of errors', 'Error.prototype.name = "leak"', 'new Error().name === "Error"'],
  [
    'a hook for stack traces',
    'Error.prepareStackTrace = () => "leak"; Error.stackTraceLimit = 0',
    'Error.prepareStackTrace === undefined && typeof new Error().stack === "string"',
  ],
  [
    'another iterator of arrays',
    'Object.getPrototypeOf([].values()).next = () => ({ done: true })',
    '[...[1].values()].length === 1',
  ],
  [
    'another iterator of maps',
    'Object.getPrototypeOf(new Map().keys()).next = () => ({ done: true })',
    '[...new Map([[1, 2]])].length === 1',
  ],
  [
    'another iterator of sets',
    'Object.getPrototypeOf(new Set().keys()).next = () => ({ done: true })',
    '[...new Set([1])].length === 1',
  ],
  [
    'another iterator of strings',
    'Object.getPrototypeOf(""[Symbol.iterator]()).next = () => ({ done: true })',
    '[..."x"].length === 1',
  ],
  [
    'another iterator of matches',
    'Object.getPrototypeOf("".matchAll(/x/g)).next = () => ({ done: true })',
    '[..."x".matchAll(/x/g)].length === 1',
  ],
  [
    'another iterator helper',
    'Object.getPrototypeOf([].values().map((x) => x)).next = () => ({ done: true })',
    '[...[1].values().map((x) => x)].length === 1',
  ],
  [
    'another wrapped iterator',
    'Object.getPrototypeOf(Iterator.from({ next() {} })).leak = 1',
    'Iterator.from({ next() {} }).leak === undefined',
  ],
  [
    'another generator',
    'Object.getPrototypeOf(function* () {}).prototype.next = () => ({ done: true })',
    '[...(function* () { yield 1 })()].length === 1',
  ],
  [
    'a member of async generators',
    'Object.getPrototypeOf(async function* () {}).prototype.leak = 1',
    'Object.getPrototypeOf(async function* () {}).prototype.leak === undefined',
  ],
  [
    'a member of the base of async iterators',
    'Object.getPrototypeOf(Object.getPrototypeOf(Object.getPrototypeOf((async function* () {})()))).leak = 1',
    '(async function* () {})().leak === undefined',
  ],
  [
    'a member of typed arrays',
    'Object.getPrototypeOf(Uint8Array.prototype).leak = 1',
    'new Uint8Array(1).leak === undefined',
  ],
  [
    'a member of the thrower of strict arguments',
    'Object.getOwnPropertyDescriptor((function () { "use strict"; return arguments })(), "callee").get.leak = 1',
    'Object.getOwnPropertyDescriptor((function () { "use strict"; return arguments })(), "callee").get.leak === undefined',
  ],
  ['a job of a promise', 'Promise.resolve().then(() => { leak = 1 })', 'typeof leak === "undefined"'],
  ['a job of an async function', '(async () => { await 1; leak = 1 })()', 'typeof leak === "undefined"'],
  ['a job of an import', 'import("leak").catch(() => { leak = 1 })', 'typeof leak === "undefined"'],
  ['a variable and an exception', 'leak = 1; throw new Error("x")', 'typeof leak === "undefined"'],
  ['a variable and an endless loop', 'leak = 1; while (true) {}', 'typeof leak === "undefined"'],
  [
    'a variable made by a getter of the result',
    'return { get x() { return (leak = 1) } }',
    'typeof leak === "undefined"',
  ],
  [
    'a variable made by a proxy as the result',
    'return new Proxy({}, { ownKeys() { leak = 1; return [] } })',
    'typeof leak === "undefined"',
  ],
  [
    'a variable made by the text of an exception',
    'throw { toString() { leak = 1; return "x" } }',
    'typeof leak === "undefined"',
  ],
]

describe('a call leaves behind', () => {
  test.each(LEFTOVERS)('no trace of %s', async (_, attack, clean) => {
    const validator = `if (event.patch.json_patch.attack) { ${attack}; return 'attacked' } return ${clean}`
    const honest = request(validator)
    const [before] = await sandbox.judge([honest])
    expect(summary(before)).toBe('accepted')
    const [attacked, after] = await sandbox.judge([request(validator, { attack: true }), honest])
    expect(attacked?.accepted).toBe(false)
    expect(summary(after)).toBe('accepted')
  })

  test('no trace where the place of the code would keep one', async () => {
    const validator = `
      const site = ((strings) => strings)\`x\`
      const pattern = /x/g
      const clean = site.leak === undefined && pattern.lastIndex === 0 && pattern.leak === undefined
      try { site.leak = pattern.leak = 1 } catch {}
      pattern.test('x')
      return clean`
    const verdicts = await sandbox.judge([request(validator), request(validator)])
    expect(verdicts.map(summary)).toEqual(['accepted', 'accepted'])
  })
})

/** Expressions that are true in the sandbox. */
const FACTS: readonly [title: string, expression: string][] = [
  ['shows the time of the record by Date.now', `Date.now() === ${TIME_MS}`],
  [
    'shows the time of the record by new Date',
    `new Date().getTime() === ${TIME_MS} && Reflect.construct(Date, []).getTime() === ${TIME_MS}`,
  ],
  ['shows the time of the record to classes of dates', `new (class extends Date {})().getTime() === ${TIME_MS}`],
  [
    'shows the time of the record by Date as a function',
    'Date() === new Date().toString() && Date() === "Sun Sep 13 2020 12:26:40 GMT+0000"',
  ],
  [
    'reads and writes dates in UTC',
    'new Date(2020, 0, 1).toISOString() === "2020-01-01T00:00:00.000Z" && new Date("2020-06-01T00:00").getHours() === 0 && new Date().getTimezoneOffset() === 0',
  ],
  ['leaves nothing to chance', '(() => { try { Math.random() } catch (e) { return e instanceof Error } })()'],
  [
    'does not show the collection of garbage',
    'typeof WeakRef === "undefined" && typeof FinalizationRegistry === "undefined"',
  ],
  ['has no shared memory', 'typeof SharedArrayBuffer === "undefined" && typeof Atomics === "undefined"'],
  [
    'has nothing of its host',
    '["process", "require", "console", "setTimeout", "queueMicrotask", "performance", "fetch", "postMessage", "navigator"].every((name) => !(name in globalThis))',
  ],
  ['runs functions sloppy', 'this === globalThis && (undeclared = 1) === 1'],
  ['lets functions be strict', '(function () { "use strict"; return this === undefined })()'],
  [
    'keeps eval and Function',
    'eval("1 + 1") === 2 && Function("a", "return a * 2")(4) === 8 && (() => {}) instanceof Function',
  ],
  ['sees its variables by direct eval', '((x) => eval("x + 1"))(1) === 2'],
  [
    'lets errors have their own name',
    '(() => { class Own extends Error { constructor() { super("m"); this.name = "Own" } } return String(new Own()) === "Own: m" })()',
  ],
  [
    'lets objects have their own toString',
    '(() => { const o = {}; o.toString = () => "own"; o.constructor = 1; return String(o) === "own" && Object.keys(o).length === 2 })()',
  ],
  [
    'lets classes be made the old way',
    '(() => { function Own() {} Own.prototype = Object.create(Error.prototype); Own.prototype.constructor = Own; return new Own() instanceof Error })()',
  ],
  ['passes three arguments', 'arguments.length === 3'],
  ['passes objects of its own', 'event instanceof Object && Object.getPrototypeOf(event) === Object.prototype'],
]

describe('the sandbox', () => {
  test.each(FACTS)('%s', async (_, expression) => {
    const verdicts = await sandbox.judge([request(`return ${expression}`), request(`return ${expression}`)])
    expect(verdicts.map(summary)).toEqual(['accepted', 'accepted'])
  })
})
