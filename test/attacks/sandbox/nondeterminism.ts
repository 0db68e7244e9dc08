import { type Attack, filter, OUT_OF, validator } from './attack.ts'

/** What could say something else on another machine, in another engine, place or moment. */
export const NONDETERMINISM: readonly Attack[] = [
  validator(
    'asks for the time',
    'return [Date.now(), +new Date(), Date(), new Date().toString(), +new (class extends Date {})()].join()',
    'denied: 1600000000123,1600000000123,Sun Sep 13 2020 12:26:40 GMT+0000,Sun Sep 13 2020 12:26:40 GMT+0000,1600000000123',
  ),
  validator(
    'asks for the time by its parts',
    'const d = new Date(); return [d.getFullYear(), d.getHours(), d.getTimezoneOffset(), d.toLocaleString(), d.toLocaleDateString(), d.toLocaleTimeString()].join()',
    'denied: 2020,12,0,09/13/2020, 12:26:40 PM,09/13/2020,12:26:40 PM',
  ),
  validator(
    'asks for the zone',
    'return [new Date(2020, 6, 1), new Date("2020-07-01T00:00").toISOString(), new Date(0).getHours()].join()',
    'denied: Wed Jul 01 2020 00:00:00 GMT+0000,2020-07-01T00:00:00.000Z,0',
  ),
  validator(
    'asks for the zone long ago and far ahead',
    'return [-1, 1900, 1969, 2038, 9999, 275760].map((y) => new Date(y, 0, 1).getTimezoneOffset()).join()',
    'denied: 0,0,0,0,0,0',
  ),
  validator(
    'reads dates in odd forms',
    'return ["2020-02-30", "1 Jan 2020", "2020/1/1 1:2:3 PM", "Thu, 01 Jan 1970 00:00:00 GMT+0200", "2020-01-01T00:00:00.123456789Z", "x"].map((text) => Date.parse(text)).join()',
    'denied: 1583020800000,1577836800000,1577883723000,-7200000,1577836800123,NaN',
  ),
  validator(
    'rolls the dice',
    'return Math.random()',
    'threw: Error: Math.random is not available at random (<prelude>:13:52)',
  ),
  validator(
    'races',
    'return [typeof performance, typeof setTimeout, typeof queueMicrotask, typeof Atomics, typeof Worker].join()',
    'denied: undefined,undefined,undefined,undefined,undefined',
  ),
  validator(
    'asks where it runs',
    'return [typeof Intl, typeof navigator, typeof process, typeof window, typeof self, typeof Deno, typeof os, typeof std, typeof print, typeof gc, typeof scriptArgs].join()',
    'denied: undefined,undefined,undefined,undefined,undefined,undefined,undefined,undefined,undefined,undefined,undefined',
  ),
  validator(
    'writes numbers by locale',
    'return [(1234567.891).toLocaleString("de"), (12n).toLocaleString("ar"), ["b", "\\u00e4", "a"].sort((a, b) => a.localeCompare(b)).join(""), "I".toLocaleLowerCase("tr")].join()',
    'denied: 1234567.891,12,abä,i',
  ),
  validator(
    'writes numbers',
    'return [0.1 + 0.2, 1e21, 1e-7, 123456789012345680000, 5e-324, -0, 1 / 3, (25).toString(36), (0.1).toString(3), (1e21).toFixed(2), (1.005).toFixed(2), (123.456).toPrecision(4), 0.000001.toExponential()].join()',
    'denied: 0.30000000000000004,1e+21,1e-7,123456789012345680000,5e-324,0,0.3333333333333333,p,0.0022002200220022002200220022002201,1e+21,1.00,123.5,1e-6',
  ),
  validator(
    'answers odd numbers',
    'return [1e21, 1e20, 123456.789, 1234567.5, 1e-5, -0, NaN, Infinity]',
    'denied: [1e+21 1e+20 123456.789 1.2345675e+06 1e-05 -0 NaN +Inf]',
  ),
  validator(
    'computes what machines compute differently',
    'return [Math.sin(1e22), Math.cos(1e5), Math.tan(1.5707963), Math.exp(1.5), Math.pow(1.1, 100), Math.log(7), Math.cbrt(7), Math.hypot(3, 4.1), Math.sinh(2), Math.expm1(1e-10), Math.atan2(1, 3)].join()',
    'denied: -0.8522008497671888,-0.9993608074382124,37320539.634354815,4.4816890703380645,13780.61233982238,1.9459101490553132,1.9129311827723892,5.080354318352215,3.626860407847019,1.00000000005e-10,0.3217505543966422',
  ),
  validator(
    'looks at the bits of NaN',
    'const f = new Float64Array([NaN, 0 / 0, -NaN, Math.sqrt(-1), Infinity - Infinity]); const g = new Float32Array(f); return [...new BigUint64Array(f.buffer)].join() + [...new Uint32Array(g.buffer)].join()',
    'denied: 9221120237041090560,9221120237041090560,9221120237041090560,9221120237041090560,92211202370410905602143289344,2143289344,2143289344,2143289344,2143289344',
  ),
  validator('looks at the order of bytes', 'return new Uint8Array(new Uint16Array([1]).buffer)[0]', 'denied: 1'),
  validator(
    'looks at the order of members',
    'return Object.keys({ b: 1, 2: 1, a: 1, 1: 1, [Symbol("s")]: 1, "-1": 1 }).join() + Object.keys(Object.assign(Object.create(null), { z: 1, y: 2 }))',
    'denied: 1,2,b,a,-1z,y',
  ),
  validator(
    'looks at the texts of errors',
    'return [() => null.x, () => undefined(), () => x, () => { const a = 1; a = 2 }, () => [].reduce((a) => a), () => new Array(-1), () => "x".repeat(-1), () => 1n + 1, () => Symbol() + "", () => BigInt(1.5), () => JSON.parse("{"), () => new RegExp("("), () => ({}).a.b, () => Object.freeze([]).push(1), () => decodeURI("%")].map((f) => { try { f() } catch (e) { return e.name + ": " + e.message } }).join("; ")',
    "denied: TypeError: cannot read property 'x' of null; TypeError: not a function; ReferenceError: 'x' is not defined; TypeError: 'a' is read-only; TypeError: empty array; RangeError: invalid array length; RangeError: invalid repeat count; TypeError: cannot convert bigint to number; TypeError: cannot convert symbol to string; RangeError: cannot convert to BigInt: not an integer; SyntaxError: expecting property name; SyntaxError: expecting ')'; TypeError: cannot read property 'b' of undefined; TypeError: object is not extensible; URIError: expecting hex digit",
  ),
  validator(
    'looks at stacks',
    'function a() { return new Error("m").stack } return [1].map(a)[0] + eval("a()")',
    'denied:     at a (<function>:1:78)\n    at map (native)\n    at _validate (<function>:1:106)\n    at apply (native)\n    at validate (<prelude>:243:31)\n    at call (<prelude>:259:17)\n    at a (<function>:1:78)\n    at <eval> (<input>:1:2)\n    at _validate (<function>:1:119)\n    at apply (native)\n    at validate (<prelude>:243:31)\n    at call (<prelude>:259:17)\n',
  ),
  validator(
    'looks at the source of functions',
    'return _validate.toString() + Math.max + (class { a() { /* c */ } })',
    'denied: function _validate(writer, event, instance) {return _validate.toString() + Math.max + (class { a() { /* c */ } })\n}function max() {\n    [native code]\n}class { a() { /* c */ } }',
  ),
  validator(
    'sorts by an order that is not one',
    'let n = 0; return [5, 3, 9, 1, 7, 2, 8, 4].sort(() => (n = (n * 7 + 3) % 5) - 2).join()',
    'denied: 8,5,9,7,3,1,2,4',
  ),
  validator(
    'measures its memory',
    'const a = []; try { for (;;) a.push(new ArrayBuffer(1e5)) } catch {} return String(a.length)',
    'limit: validator ran out of memory: more than 64 MiB',
  ),
  validator(
    'measures its stack',
    'let depth = 0; const go = (...args) => { depth++; go(...args, 1) }; try { go() } catch {} return String(depth)',
    OUT_OF.threadStack,
  ),
  validator(
    'measures its stack by patterns and JSON',
    'let depth = 0; const go = () => { depth++; "x".replace(/x/, () => JSON.stringify({ toJSON: go })) }; try { go() } catch (e) { return depth + String(e) }',
    OUT_OF.threadStack,
  ),
  validator(
    'matches what tables of Unicode say',
    'return [/\\p{Lu}/u.test("\\u{1e921}"), "\\u{1e921}".toLowerCase().codePointAt(0), "\\u00df".toUpperCase(), /\\p{Emoji}/u.test("\\u{1fae8}"), "\\ufb01".normalize("NFKD"), /\\w/iu.test("\\u017f")].join()',
    'denied: true,125251,SS,true,fi,true',
  ),
  filter(
    'asks for the time',
    'return { now: Date.now(), text: String(new Date()) }',
    'shown {"now":1600000000123,"text":"Sun Sep 13 2020 12:26:40 GMT+0000"}',
  ),
  filter(
    'asks who reads',
    'return { reader, arguments: arguments.length, self: typeof this }',
    'shown {"arguments":2,"reader":"bbaareihkjjwghyu4kifl55kqpmjs5rpzsvdxnlv6xz5zeqq65jurirwsfq","self":"object"}',
  ),
]
