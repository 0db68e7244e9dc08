import { afterAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../../../src/core/logger.ts'
import { createSandbox } from '../../../../src/db/sandbox/index.ts'
import { request, summary } from './requests.ts'

const sandbox = createSandbox({ logger: silentLogger })
afterAll(() => sandbox.close())

const TIMED_OUT = 'limit: validator timed out: more than 40000000 steps'
const OUT_OF_MEMORY = 'limit: validator ran out of memory: more than 256 MiB'
const OVERFLOW = /^limit: validator ran out of stack: more than (96 KiB|320 KiB of its thread)$/

/** Programs that want to break out, block, or use up what they get, and what a host says of them. */
const BOMBS: readonly [title: string, body: string, verdict: string | RegExp][] = [
  ['an endless loop', 'while (true) {}', TIMED_OUT],
  ['an endless loop that catches all', 'while (true) { try { while (true) {} } catch {} }', TIMED_OUT],
  ['an endless loop in finally', 'while (true) { try { while (true) {} } finally { continue } }', TIMED_OUT],
  ['a slow regular expression', 'return /^(a+)+$/.test("a".repeat(40) + "b")', TIMED_OUT],
  ['an endless generator', 'return [...(function* () { while (true) yield 1 })()].length', TIMED_OUT],
  [
    'an endless generator, with the stop caught',
    'try { [...(function* () { while (true) yield 1 })()] } catch { return true }',
    TIMED_OUT,
  ],
  [
    'an endless loop that catches the stop of generators',
    'while (true) try { [...(function* () { while (true); })()] } catch {}',
    TIMED_OUT,
  ],
  ['an endless loop in eval', 'return eval("while (true) {}")', TIMED_OUT],
  ['an endless loop in a comparison', 'return [1, 2, 3].sort(() => { while (true) {} })', TIMED_OUT],
  ['an endless loop in a getter of the result', 'return { get a() { while (true) {} } }', TIMED_OUT],
  ['an endless loop in a proxy as the result', 'return new Proxy({}, { ownKeys() { while (true) {} } })', TIMED_OUT],
  ['a proxy of a proxy of a proxy without end', 'let p = {}; while (true) p = new Proxy(p, {})', /^limit: /],
  ['an endless loop in the text of an exception', 'throw { toString() { while (true) {} } }', TIMED_OUT],
  [
    'an endless loop in the stack of an exception',
    'throw Object.defineProperty(new Error(), "stack", { get() { while (true) {} } })',
    TIMED_OUT,
  ],
  ['toJSON on the result', 'return { toJSON() { while (true) {} } }', 'denied: map[toJSON:func]'],
  ['a promise for true', 'return Promise.resolve(true)', 'denied: map[]'],
  ['an async function', 'return (async () => true)()', 'denied: map[]'],
  ['a thenable', 'return { then(done) { done(true) } }', 'denied: map[then:func]'],
  ['a chain of promises', 'const go = () => Promise.resolve().then(go); go(); return "x"', 'denied: x'],
  ['the global object as the result', 'this.x = 1; this.y = this; return this', /^denied: map\[x:1 y:map\[.*\.\.\./],
  ['a cyclic result', 'const a = []; a.push(a); return a', /^denied: \[+\.\.\.\]+$/],
  ['a wide and deep result', 'let a = 1; for (let i = 0; i < 60; i++) a = [a, a, a]; return a', /^denied: \[/],
  ['a huge sparse array as the result', 'return new Array(2 ** 32 - 1)', /^denied: \[<nil> <nil>/],
  ['a huge text as the result', 'return "x".repeat(1e7)', /^denied: x{1024}\.\.\.$/],
  ['endless recursion', 'function f() { return f() + 1 } return f()', OVERFLOW],
  ['endless recursion of getters', 'const o = { get a() { return this.a } }; return o.a', OVERFLOW],
  ['deep JSON', 'return JSON.parse("[".repeat(1e6))', OVERFLOW],
  ['a deep value as JSON', 'let a = []; for (let i = 0; i < 1e4; i++) a = [a]; return JSON.stringify(a)', OVERFLOW],
  ['a deep pattern', 'return new RegExp("(".repeat(1e5) + ")".repeat(1e5))', /^threw: /],
  ['deep source in eval', 'return eval("(".repeat(1e6))', OVERFLOW],
  ['a deep source', `return ${'('.repeat(1e5)}1${')'.repeat(1e5)}`, OVERFLOW],
  ['growing arrays', 'const a = []; while (true) a.push(new Array(1e5).fill(1))', OUT_OF_MEMORY],
  [
    'growing arrays, with the failure caught',
    'const a = []; try { while (true) a.push(new Array(1e5).fill(1)) } catch { return true }',
    OUT_OF_MEMORY,
  ],
  ['growing objects', 'const a = {}; for (let i = 0; ; i++) a["k" + i] = { i }', /^limit: /],
  ['growing buffers', 'const a = []; while (true) a.push(new Uint8Array(1e6).fill(1))', OUT_OF_MEMORY],
  ['a doubling text', 'let s = "x"; while (true) s += s', /^threw: InternalError: string too long/],
  ['a text of texts', 'return new Array(2 ** 24).join("x".repeat(100))', /^(limit|threw): /],
  ['a huge buffer', 'return new ArrayBuffer(2 ** 31 - 1).byteLength', /^(limit|threw): /],
  ['a huge number', 'let n = 2n; while (true) n *= n', /^(limit|threw): /],
  [
    'a body that closes the function',
    'return true }); evil(); (function () {',
    /^threw: compiling js func: SyntaxError/,
  ],
  [
    'a body that closes the function and opens another',
    'return true } (1), function () {',
    /^threw: compiling js func: SyntaxError/,
  ],
  ['a body that is a list of methods', 'return true }, evil() {', /^threw: compiling js func: SyntaxError/],
  ['a body that opens a comment', 'return true /*', /^threw: compiling js func: SyntaxError/],
  [
    'a constructed function that breaks out',
    'Function("}); (function () { while (true) {} })(); (function () {"); return true',
    TIMED_OUT,
  ],
  ['an import of a module of the host', 'import("node:fs"); return typeof process', 'denied: undefined'],
  [
    'a result that knows what an array is',
    'const a = []; a.length = 50; a.toString = () => { throw 1 }; return a',
    /^denied: \[<nil>/,
  ],
  [
    'a revoked proxy as the result',
    'const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy',
    /^threw: TypeError/,
  ],
  [
    'a revoked proxy as the exception',
    'const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy',
    'threw: an exception without a text',
  ],
  ['an exception without prototype', 'throw Object.create(null)', 'threw: an exception without a text'],
  ['a symbol as the exception', 'throw Symbol("s")', 'threw: Symbol(s)'],
]

describe('a host survives', () => {
  test.each(BOMBS)('%s', async (_, body, verdict) => {
    const matching = verdict instanceof RegExp ? expect.stringMatching(verdict) : verdict
    const attack = sandbox.judge([request(body)])
    const honest = 'return event.patch.json_patch.name === "Fido"'
    const meanwhile = await sandbox.judge([request(honest, { name: 'Fido' }), request(honest, { name: 'Rex' })])
    expect(meanwhile.map(summary)).toEqual(['accepted', 'denied: '])
    expect((await attack).map(summary)).toEqual([matching])
    const again = await sandbox.judge([
      request(honest, { name: 'Fido' }),
      request(body),
      request(honest, { name: 'Rex' }),
    ])
    expect(again.map(summary)).toEqual(['accepted', matching, 'denied: '])
  })
})
