import { type Attack, filter, leftover, validator } from './attack.ts'

/** Ways to remember something from one call to the next. */
export const LEFTOVERS: readonly Attack[] = [
  leftover(
    'keeps a variable of the global object',
    'leak = 1; var local = 2',
    'typeof leak === "undefined" && local === undefined',
  ),
  leftover(
    'keeps a variable that cannot be deleted',
    'Object.defineProperty(this, "leak", { value: 1 })',
    'typeof leak === "undefined"',
  ),
  leftover(
    'keeps many variables that cannot be deleted',
    'for (let i = 0; i < 1000; i++) Object.defineProperty(this, "leak" + i, { get: () => i })',
    'typeof leak7 === "undefined"',
  ),
  leftover(
    'keeps variables of indirect eval',
    '(0, eval)("var a = 1; let b = 2; const c = 3; class d {}; function e() {}")',
    '["a", "b", "c", "d", "e"].every((name) => { try { eval(name); return false } catch { return true } })',
  ),
  leftover(
    'keeps variables of a function that breaks out of Function',
    'Function("}); var a = 1; let b = 2; (function () {")',
    'typeof a === "undefined" && typeof b === "undefined"',
  ),
  leftover(
    'keeps members of its own function',
    'arguments.callee.leak = 1; _validate.leak = 1; _validate.prototype.leak = 1',
    '_validate.leak === undefined && _validate.prototype.leak === undefined',
  ),
  leftover(
    'keeps where a pattern stopped',
    '/x/g.test("xx"); RegExp("x", "y").exec("x")',
    '/x/g.lastIndex === 0 && RegExp.lastMatch === undefined && RegExp.$1 === undefined',
  ),
  leftover(
    'keeps a member of a registered symbol',
    'Symbol.for("leak").leak = 1; Object(Symbol.for("leak")).leak = 1',
    'Symbol.for("leak").leak === undefined',
  ),
  leftover(
    'keeps a member of the strings of a template',
    'const site = ((s) => s)`x`; try { site.leak = 1 } catch {}',
    '((s) => s)`x`.leak === undefined',
  ),
  leftover(
    'keeps a private member of what is frozen',
    'class Super { constructor(o) { return o } } class Stamp extends Super { #leak = 1; static has(o) { return #leak in o } } new Stamp(Object.prototype)',
    '(() => { class Super { constructor(o) { return o } } class Stamp extends Super { #leak = 1; static has(o) { return #leak in o } } return !Stamp.has(Object.prototype) })()',
  ),
  leftover(
    'keeps a job of a promise',
    'Promise.resolve().then(() => { leak = 1 }); (async () => { await 0; leak = 2 })()',
    'typeof leak === "undefined"',
  ),
  leftover(
    'keeps a module',
    'import("leak").then((m) => { leak = m }, () => { leak = 1 })',
    'typeof leak === "undefined"',
  ),
  leftover(
    'keeps a member of the writer, the event or the arguments',
    'String.prototype.leak = 1; event.leak = 1; event.patch.__proto__.leak = 1; arguments.leak = 1',
    'event.leak === undefined && writer.leak === undefined && ({}).leak === undefined',
  ),
  leftover(
    'keeps the end of a generator',
    'globalThis.g = (function* () { while (true) yield 1 })(); g.next()',
    'typeof g === "undefined"',
  ),
  leftover(
    'leaves a variable and a loop without end',
    'leak = 1; for (let i = 0; i < 100; i++) this["leak" + i] = i',
    'typeof leak === "undefined" && typeof leak99 === "undefined"',
  ),
  validator(
    'looks for references that show the collection of garbage',
    'return typeof WeakRef + typeof FinalizationRegistry',
    'denied: undefinedundefined',
  ),
  validator(
    'counts its calls in a map with weak keys',
    'const seen = new WeakMap(); seen.set(Object.prototype, (seen.get(Object.prototype) ?? 0) + 1); return String(seen.get(Object.prototype))',
    'denied: 1 | denied: 1 | denied: 1',
    { documents: [{}, {}, {}] },
  ),
  validator(
    'tells by its stack that it was called before',
    'let depth = 0; const go = () => { depth++; go() }; try { go() } catch {} return String(depth)',
    'denied: 553 | denied: 553 | denied: 553',
    { documents: [{}, {}, {}] },
  ),
  filter(
    'remembers readers in a filter',
    'this.readers = (this.readers || 0) + 1; return { readers: this.readers }',
    'shown {"readers":1} | shown {"readers":1}',
    { documents: [{}, {}] },
  ),
]
