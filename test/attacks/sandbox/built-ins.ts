import { type Attack, filter, OUT_OF, validator } from './attack.ts'

/** Calls of one built-in function that run for minutes without a step of the program. */
export const BUILT_INS: readonly Attack[] = [
  validator('searches an array without end', 'const a = []; a.length = 2 ** 32 - 1; return a.indexOf(5)', OUT_OF.work),
  validator(
    'searches an array without end from behind',
    'const a = []; a.length = 2 ** 32 - 1; return a.lastIndexOf(5)',
    OUT_OF.work,
  ),
  validator(
    'searches what only looks like an array',
    'return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 5)',
    OUT_OF.work,
  ),
  validator(
    'visits the holes of an array',
    'const a = []; a.length = 2 ** 32 - 1; a.forEach(() => {}); return true',
    OUT_OF.work,
  ),
  validator(
    'reverses an array without end',
    'const a = []; a.length = 2 ** 32 - 1; a.reverse(); return true',
    OUT_OF.work,
  ),
  validator('sorts an array without end', 'const a = []; a.length = 2 ** 32 - 1; a.sort(); return true', OUT_OF.work),
  validator(
    'sorts a copy of an array without end',
    'const a = []; a.length = 2 ** 32 - 1; return a.toSorted()',
    'threw: RangeError: invalid array length at toSorted (native)',
  ),
  validator('fills an array without end', 'return Array(2 ** 32 - 1).fill(0)', OUT_OF.memory),
  validator(
    'fills what only looks like an array',
    'return Array.prototype.fill.call({ length: 2 ** 53 - 1 }, 0)',
    OUT_OF.memory,
  ),
  validator(
    'appends arrays without end',
    'const a = []; a.length = 2 ** 32 - 1; return [].concat(a).length',
    OUT_OF.work,
  ),
  validator(
    'shifts an array without end',
    'const a = []; a.length = 2 ** 32 - 2; a.unshift(1); return true',
    OUT_OF.work,
  ),
  validator(
    'searches a large array again and again',
    'const a = Array(1e5).fill(1); let n = 0; for (;;) n += a.indexOf(2)',
    OUT_OF.work,
  ),
  validator(
    'sorts with a comparator that lies',
    'let n = 0; const a = Array.from({ length: 2e4 }, (_, i) => i); a.sort(() => n++ % 3 - 1); return true',
    'accepted',
  ),
  validator(
    'sorts with a comparator that changes the array',
    'const a = Array.from({ length: 1000 }, (_, i) => i); a.sort((x, y) => { a.length = 0; a.push(1); return y - x }); return a.length === 1000',
    'accepted',
  ),
  validator(
    'sorts many texts that begin alike',
    'const s = "x".repeat(1e5); const a = Array.from({ length: 200 }, (_, i) => s + i); for (;;) a.toSorted()',
    OUT_OF.work,
  ),
  validator(
    'compares large texts again and again',
    'const a = "x".repeat(4e6) + "a", b = "x".repeat(4e6) + "b"; let n = 0; for (;;) n += a < b',
    OUT_OF.work,
  ),
  validator(
    'copies a large text again and again',
    'let s = "x".repeat(8e6), n = 0; for (;;) n += (s + n).charCodeAt(5)',
    OUT_OF.work,
  ),
  validator(
    'looks for a text that is almost there',
    'return ("a".repeat(1e6)).indexOf("a".repeat(5e5) + "b")',
    OUT_OF.work,
  ),
  validator('looks for a text from behind', 'return ("a".repeat(1e6)).lastIndexOf("a".repeat(5e5) + "b")', OUT_OF.work),
  validator(
    'replaces in a text that becomes huge',
    'return "a".repeat(1e6).replaceAll("a", "b".repeat(1000)).length',
    OUT_OF.memory,
  ),
  validator(
    'replaces nothing in a text by itself',
    'const s = "ab".repeat(1e4); return s.replaceAll("", s).length',
    OUT_OF.memory,
  ),
  validator('splits a large text into characters', 'return "x".repeat(2 ** 25).split("").length', OUT_OF.memory),
  validator(
    'brings a large text into a normal form',
    'return "\\u1e9b\\u0323".repeat(1e6).normalize("NFKD").length',
    'denied: 3000000',
  ),
  validator(
    'brings marks into order',
    'return ("a" + "\\u0315\\u0300".repeat(5e5)).normalize("NFC").length',
    OUT_OF.work,
  ),
  validator(
    'compares by locale',
    'const a = "\\u00e4".repeat(1e6); let n = 0; for (;;) n += a.localeCompare(a + "b")',
    OUT_OF.work,
  ),
  validator(
    'changes the case of large texts',
    'let n = 0; for (;;) n += "\\u00df\\u0130".repeat(1e5).toUpperCase().length',
    OUT_OF.work,
  ),
  validator(
    'parses a large text again and again',
    'const s = "[" + "1,".repeat(1e5) + "1]"; for (;;) JSON.parse(s)',
    OUT_OF.work,
  ),
  validator('writes an array without end as JSON', 'return JSON.stringify(Array(2 ** 32 - 1))', OUT_OF.work),
  validator(
    'writes a value as JSON that branches',
    'let a = [1]; for (let i = 0; i < 40; i++) a = [a, a]; return JSON.stringify(a)',
    OUT_OF.work,
  ),
  validator(
    'flattens a value that branches',
    'let a = [1]; for (let i = 0; i < 40; i++) a = [a, a]; return a.flat(Infinity)',
    OUT_OF.work,
  ),
  validator(
    'multiplies long numbers',
    'const n = 7n ** 100000n; let m = 1n; for (;;) m = n * n % (n - 2n)',
    OUT_OF.work,
  ),
  validator(
    'writes a number in many digits',
    'let n = 0; for (;;) n += (1.5e300).toString(3).length + (0.1).toFixed(100).length',
    OUT_OF.work,
  ),
  validator(
    'reads a number of many digits',
    'const s = "0." + "3".repeat(1e6); let n = 0; for (;;) n += Number(s)',
    OUT_OF.work,
  ),
  validator('sorts a large typed array', 'const a = new Float64Array(4e6); for (;;) a.sort()', OUT_OF.work),
  validator(
    'fills a large typed array again and again',
    'const a = new Uint8Array(3e7); for (;;) a.fill(1)',
    OUT_OF.work,
  ),
  validator(
    'moves a large typed array again and again',
    'const a = new Uint8Array(3e7); for (;;) a.copyWithin(1, 0)',
    OUT_OF.work,
  ),
  validator(
    'copies members again and again',
    'const o = {}; for (let i = 0; i < 1e4; i++) o["k" + i] = i; for (;;) Object.assign({}, o)',
    OUT_OF.work,
  ),
  validator(
    'makes keys that collide',
    'const o = {}; for (let i = 0; i < 2e5; i++) o[String.fromCharCode(i & 255, i >> 8) + "x".repeat(50)] = i; return true',
    'accepted',
  ),
  validator(
    'has names read in an order of its own',
    'const o = {}; for (let i = 3e4; i > 0; i--) o[i] = i; for (;;) Object.keys(o)',
    OUT_OF.work,
  ),
  validator(
    'deletes members of a large object',
    'const o = {}; for (let i = 0; i < 3e4; i++) o["k" + i] = i; for (const k in o) delete o[k]; return true',
    'accepted',
  ),
  validator(
    'collects garbage without end',
    'const keep = []; for (let i = 0; i < 1e5; i++) keep.push({ a: {} }); for (;;) { const a = { b: {} }; a.b.a = a }',
    OUT_OF.work,
  ),
  validator(
    'is a source with a slow pattern',
    `return /${'(?:a?){1,50}'.repeat(20)}b/.test("a".repeat(50))`,
    OUT_OF.steps,
  ),
  validator('parses dates without end', 'let n = 0; for (;;) n += Date.parse("x".repeat(1e6))', OUT_OF.work),
  filter(
    'searches an array without end',
    'const a = []; a.length = 2 ** 32 - 1; return a.indexOf(5)',
    'failed: filter timed out: more than 600000000 units of work inside built-ins',
  ),
]
