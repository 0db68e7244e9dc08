import { type Attack, filter, OUT_OF, validator } from './attack.ts'

/** Results and exceptions that do something when they are looked at. */
export const RESULTS: readonly Attack[] = [
  validator('answers a promise', 'return Promise.resolve(true)', 'denied: map[]'),
  validator('is an async function', 'return (async () => true)()', 'denied: map[]'),
  validator('answers a generator', 'return (function* () { yield true })()', 'denied: map[]'),
  validator('answers something with then', 'return { then(resolve) { resolve(true) } }', 'denied: map[then:func]'),
  validator(
    'answers what turns into true',
    'return { valueOf: () => true, toString: () => "true", [Symbol.toPrimitive]: () => true }',
    'denied: map[toString:func valueOf:func]',
  ),
  validator(
    'answers an object that pretends to be a Boolean',
    'return Object.create(Boolean.prototype)',
    'denied: map[]',
  ),
  validator(
    'answers a Boolean that says it is true',
    'const no = new Boolean(false); no.valueOf = () => true; return no',
    'denied: ',
  ),
  validator('answers a proxy of a Boolean', 'return new Proxy(new Boolean(true), {})', 'denied: map[]'),
  validator(
    'puts its own Boolean into the global scope',
    'globalThis.Boolean = { [Symbol.hasInstance]: () => true }; return "no"',
    'denied: no',
  ),
  validator(
    'answers an object that never ends',
    'return { get a() { return { get a() { while (true); } } } }',
    OUT_OF.steps,
  ),
  validator(
    'answers a proxy that makes up members',
    'return new Proxy({}, { ownKeys: () => Array.from({ length: 1e5 }, (_, i) => "k" + i), getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }) })',
    OUT_OF.work,
  ),
  validator(
    'answers an array that lies about its length',
    'return new Proxy([], { get: (_, key) => key === "length" ? Infinity : "x" })',
    `denied: [${Array(100).fill('x').join(' ')}]`,
  ),
  validator(
    'answers an array without end',
    'const a = []; a.length = 2 ** 32 - 1; return a',
    `denied: [${Array(100).fill('<nil>').join(' ')}]`,
  ),
  validator(
    'answers a getter that throws',
    'return { get a() { throw new RangeError("gotcha") } }',
    'threw: RangeError: gotcha at get a (<function>:1:86)',
  ),
  validator(
    'answers the global object',
    'this.self = this; return this',
    'denied: map[self:map[self:map[self:map[self:map[self:map[self:map[self:map[self:map[self:map[self:map[self:...]]]]]]]]]]]',
  ),
  validator('answers a text of 10 million characters', 'return "x".repeat(1e7)', `denied: ${'x'.repeat(1024)}...`),
  validator('answers a text with a null byte', 'return "a\\0b"', 'denied: a\ufffdb'),
  validator('answers half a character', 'return "a\\ud800b"', 'denied: a\ufffdb'),
  validator(
    'answers a message cut in the middle of a character',
    'return "x".repeat(1023) + "\\u{1f600}"',
    `denied: ${'x'.repeat(1023)}\ufffd...`,
  ),
  validator(
    'answers a revoked proxy',
    'const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy',
    'threw: TypeError: revoked proxy at [Symbol.hasInstance] (native)',
  ),
  validator('answers what looks like an answer of the sandbox', 'return "accepted"', 'denied: accepted'),
  validator('throws null', 'throw null', 'threw: null'),
  validator('throws undefined', 'throw undefined', 'threw: undefined'),
  validator('throws true', 'throw true', 'threw: true'),
  validator('throws a symbol', 'throw Symbol("s")', 'threw: Symbol(s)'),
  validator('throws what has no text', 'throw { toString() { throw 1 } }', 'threw: an exception without a text'),
  validator('throws what never becomes a text', 'throw { toString() { while (true); } }', OUT_OF.steps),
  validator(
    'throws an error whose message is a loop',
    'throw Object.defineProperty(new Error(), "message", { get() { for (;;); } })',
    OUT_OF.steps,
  ),
  validator(
    'throws an error whose stack is a loop',
    'throw Object.defineProperty(new Error(), "stack", { get() { for (;;); } })',
    OUT_OF.steps,
  ),
  validator(
    'throws an error whose stack is no text',
    'const e = new Error("m"); e.stack = { toString: () => "at home" }; throw e',
    'threw: Error: m at home',
  ),
  validator(
    'throws an error with a message of 10 million characters',
    'throw new Error("x".repeat(1e7))',
    `threw: Error: ${'x'.repeat(1017)}... at _validate (<function>:1:62)`,
  ),
  validator(
    'throws a revoked proxy',
    'const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy',
    'threw: an exception without a text',
  ),
  validator(
    'throws a proxy of an error',
    'throw new Proxy(new TypeError("m"), {})',
    'threw: TypeError: m at _validate (<function>:1:76)',
  ),
  validator(
    'throws errors within errors',
    'let e = new Error("e"); for (let i = 0; i < 1e4; i++) e = new AggregateError([e], "m", { cause: e }); throw e',
    'threw: AggregateError: m at _validate (<function>:1:123)',
  ),
  validator(
    'throws what a limit throws',
    'throw new InternalError("interrupted")',
    'threw: InternalError: interrupted at _validate (<function>:1:70)',
  ),
  validator(
    'throws from a finally behind a return',
    'try { return true } finally { throw "finally" }',
    'threw: finally',
  ),
  filter(
    'shows NaN where it has replaced the check for it',
    'globalThis.isFinite = () => true; Number.isFinite = () => true; return { a: NaN }',
    'failed: json: unsupported value: NaN',
  ),
  filter('shows a function', 'return { a() {} }', 'failed: json: unsupported type: function'),
  filter('shows a symbol', 'return [Symbol("s")]', 'failed: json: unsupported type: symbol'),
  filter('shows a BigInt', 'return { a: 1n }', 'failed: json: unsupported type: bigint'),
  filter(
    'shows a circle',
    'const a = { b: {} }; a.b.a = a; return a',
    'failed: json: unsupported value: cyclic, or deeper than 128 levels',
  ),
  filter(
    'shows an array that lies about its length',
    'return new Proxy([], { get: (_, key) => key === "length" ? 1e15 : null })',
    'failed: json: more than 4194304 characters',
  ),
  filter(
    'shows more than there is room for',
    'return { text: "x".repeat(2 ** 22) }',
    'failed: json: more than 4194304 characters',
  ),
  filter(
    'shows names that are code',
    'return { ["\\"}); evil(); //"]: "</script>\\u2028`${1}", __proto__: null }',
    'shown {"\\"}); evil(); //":"</script>\u2028`${1}"}',
  ),
  filter(
    'shows a member named __proto__',
    'return JSON.parse(\'{"__proto__":{"a":1}}\')',
    'shown {"__proto__":{"a":1}}',
  ),
  filter(
    'shows something else by toJSON',
    'instance.toJSON = () => ({ _id: "b" }); return { ...instance, toJSON: undefined }',
    'shown {"_id":"a","name":"Fido","toJSON":null}',
  ),
  filter('answers a promise', 'return Promise.resolve(instance)', 'shown {}'),
  filter('shows half characters', 'return { a: "\\ud800", ["\\udfff"]: 1 }', 'shown {"a":"\\ud800","\\udfff":1}'),
  filter(
    'shows a getter that never ends',
    'return { get a() { while (true); } }',
    'failed: filter timed out: more than 40000000 steps',
  ),
  filter('fails with a value that has no text', 'throw Object.create(null)', 'failed: an exception without a text'),
]
