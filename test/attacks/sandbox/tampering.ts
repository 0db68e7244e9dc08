import { type Attack, leftover, validator } from './attack.ts'

/** Changes to what is built in, which the next call would meet. */
export const TAMPERING: readonly Attack[] = [
  leftover('replaces push of arrays', 'Array.prototype.push = () => 0', '[].push(1) === 1'),
  leftover(
    'defines a setter for all objects',
    'Object.prototype.__defineSetter__("a", () => {})',
    '(({}).a = 1, true)',
  ),
  leftover(
    'defines a getter named like a member of events',
    'Object.defineProperty(Object.prototype, "type", { get: () => "delete" })',
    '({}).type === undefined && event.patch.type === "create"',
  ),
  leftover('replaces JSON.parse', 'JSON.parse = () => ({ admin: true })', 'JSON.parse("[1]")[0] === 1'),
  leftover(
    'defines another JSON',
    'Object.defineProperty(globalThis, "JSON", { value: 1 })',
    'typeof JSON === "object"',
  ),
  leftover(
    'makes a class accept any value as its instance',
    'Object.defineProperty(Array, Symbol.hasInstance, { value: () => true })',
    '!({} instanceof Array)',
  ),
  leftover(
    'changes how objects become primitives',
    'Date.prototype[Symbol.toPrimitive] = () => 7',
    '+new Date(5) === 5',
  ),
  leftover(
    'changes how arrays are iterated',
    'Array.prototype[Symbol.iterator] = function* () {}',
    '[...[1]].length === 1',
  ),
  leftover(
    'changes what arrays make more of',
    'Object.defineProperty(Array, Symbol.species, { value: Object })',
    'Array.isArray([].map((x) => x))',
  ),
  leftover(
    'changes what RegExp splits by',
    'RegExp.prototype[Symbol.split] = () => ["x"]',
    '"a-b".split(/-/).length === 2',
  ),
  leftover(
    'names objects otherwise',
    'Object.prototype[Symbol.toStringTag] = "Admin"',
    'String({}) === "[object Object]"',
  ),
  leftover(
    'gives Object.prototype a prototype',
    'Object.prototype.__proto__ = { admin: 1 }',
    '({}).admin === undefined',
  ),
  leftover(
    'gives functions a member by a chain of constructors',
    '(() => {}).constructor.prototype.admin = 1; [].constructor.constructor.prototype.admin = 1',
    '(() => {}).admin === undefined',
  ),
  leftover(
    'changes the prototype of iterators through its odd setters',
    'Iterator.prototype.constructor = 1; Iterator.prototype[Symbol.toStringTag] = "x"',
    'Iterator.prototype.constructor === Iterator',
  ),
  leftover(
    'changes functions that are only made by syntax',
    'Object.getPrototypeOf(async () => 1).admin = 1; Object.getPrototypeOf(async function* () {}).admin = 1',
    '(async () => 1).admin === undefined && (async function* () {}).admin === undefined',
  ),
  leftover(
    'changes the prototype of typed arrays',
    'Object.getPrototypeOf(Int8Array).from = () => 1; Object.getPrototypeOf(Int8Array.prototype).fill = 1',
    'Int8Array.from([1]).fill(2)[0] === 2',
  ),
  leftover(
    'changes promises',
    'Promise.prototype.then = (f) => f(1); Promise.resolve = () => 1',
    'typeof Promise.resolve(1) === "object"',
  ),
  leftover(
    'defines over a frozen built-in by Reflect',
    'Reflect.defineProperty(Math, "max", { value: () => 0 }); Reflect.set(Math, "min", 0)',
    'Math.max(1, 2) === 2 && Math.min(1, 2) === 1',
  ),
  leftover(
    'deletes built-ins',
    'delete Object.keys; delete Array.prototype.map; delete globalThis.Object',
    'typeof Object.keys === "function" && typeof [].map === "function"',
  ),
  leftover(
    'puts a proxy behind the global object',
    'Object.setPrototypeOf(globalThis, new Proxy({}, { has: () => true, get: () => 1 }))',
    'typeof leak === "undefined" && typeof Object === "function"',
  ),
  validator(
    'gives a document a prototype',
    'return event.patch.json_patch.admin === undefined && Object.keys(event.patch.json_patch)[0] === "__proto__"',
    'accepted',
    {
      documents: [JSON.parse('{"__proto__":{"admin":true}}')],
    },
  ),
  validator(
    'gives a document the names of all that objects have',
    'return ["constructor", "toString", "hasOwnProperty", "then", "toJSON"].every((name) => event.patch.json_patch[name] === "x")',
    'accepted',
    {
      documents: [JSON.parse('{"constructor":"x","toString":"x","hasOwnProperty":"x","then":"x","toJSON":"x"}')],
    },
  ),
  validator(
    'looks for anything that is not frozen',
    `
    const seen = new Set([globalThis])
    const waiting = [Object.getPrototypeOf(globalThis), _validate]
    const open = []
    while (waiting.length > 0) {
      const value = waiting.pop()
      if (value === null || (typeof value !== 'object' && typeof value !== 'function') || seen.has(value)) continue
      seen.add(value)
      if (!Object.isFrozen(value)) open.push(String(value))
      waiting.push(Object.getPrototypeOf(value))
      for (const key of Reflect.ownKeys(value)) {
        const { value: member, get, set } = Reflect.getOwnPropertyDescriptor(value, key)
        waiting.push(member, get, set)
      }
    }
    return open.length > 0 || seen.size < 500 ? seen.size + ': ' + open : true`,
    'accepted',
  ),
]
