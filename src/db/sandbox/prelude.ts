import { ANSWERS } from './answers.ts'

/**
 * What runs in a realm before the function of a collection does. Afterwards nothing in the realm lets one call reach a
 * later one, the clock, or chance:
 *
 * - the clock, randomness and what shows garbage collection are replaced or taken out;
 * - all built-ins move from the global object to its prototype, so that one look at the few names the global object has
 *   left tells whether a call made variables;
 * - everything reachable is frozen, also the prototypes that only iterators and generators lead to.
 */
const HARDEN = String.raw`
const { apply, construct, defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, isExtensible,
  ownKeys, setPrototypeOf } = Reflect
const { freeze } = Object
const global = globalThis
let now = 0

const SystemDate = Date
function replaceClockAndChance() {
  for (const name of ['WeakRef', 'FinalizationRegistry', 'SharedArrayBuffer']) delete global[name]
  Math.random = function random() { throw new Error('Math.random is not available') }
  const prototype = SystemDate.prototype
  function RecordDate(...parts) {
    if (new.target === undefined) return new SystemDate(now).toString()
    return construct(SystemDate, parts.length === 0 ? [now] : parts, new.target)
  }
  global.Date = RecordDate
  const { parse, UTC } = SystemDate
  for (const [name, value] of Object.entries({ name: 'Date', length: 7, prototype, parse, UTC, now: () => now })) {
    defineProperty(RecordDate, name, { value, writable: false, enumerable: false })
  }
  prototype.constructor = RecordDate
}

// A frozen member stops objects below from getting one of that name by assignment. Errors that set their name, and
// objects that bring their own toString, are too common for that.
function makeOverridable(prototype) {
  for (const key of ownKeys(prototype)) {
    const { value, configurable } = getOwnPropertyDescriptor(prototype, key)
    if (value === undefined || !configurable) continue
    defineProperty(prototype, key, {
      get() { return value },
      set(own) {
        if (this === prototype) throw new TypeError(String(key) + ' is read-only')
        defineProperty(this, key, { value: own, writable: true, enumerable: true, configurable: true })
      },
    })
  }
}

function moveBuiltIns() {
  const builtIns = Object.create(Object.prototype)
  for (const key of ownKeys(global)) {
    const descriptor = getOwnPropertyDescriptor(global, key)
    if (descriptor.configurable) {
      defineProperty(builtIns, key, descriptor)
      delete global[key]
    }
  }
  setPrototypeOf(global, builtIns)
  return builtIns
}

// Prototypes that no name leads to.
function hiddenRoots() {
  const { get } = getOwnPropertyDescriptor((function () { return arguments })(), 'callee')
  return [get, async function () {}, function* () {}, async function* () {}, [].values(), [].values().map(() => 0),
    Iterator.from({ next() {} }), Iterator.concat([]), new Map().values(), new Set().values(), ''[Symbol.iterator](),
    ''.matchAll(/x/g)]
}

function freezeAll(roots) {
  const seen = new Set([global])
  const waiting = [...roots]
  while (waiting.length > 0) {
    const value = waiting.pop()
    if (value === null || (typeof value !== 'object' && typeof value !== 'function') || seen.has(value)) continue
    seen.add(value)
    waiting.push(getPrototypeOf(value))
    for (const key of ownKeys(value)) {
      const descriptor = getOwnPropertyDescriptor(value, key)
      waiting.push(descriptor.value, descriptor.get, descriptor.set)
    }
    freeze(value)
  }
}

replaceClockAndChance()
for (const name of ownKeys(global)) {
  const prototype = global[name]?.prototype
  if (prototype === Object.prototype || prototype instanceof Error || prototype === Error.prototype) {
    makeOverridable(prototype)
  }
}
const builtIns = moveBuiltIns()
freezeAll([builtIns, ...hiddenRoots()])
const ownNames = ownKeys(global)

// Removes the variables a call made, of which there are no others: those that eval and Function declare by let are gone
// with them. False if the realm cannot be made as it was.
function restore() {
  if (ownKeys(global).length !== ownNames.length) {
    for (const key of ownKeys(global)) {
      if (!ownNames.includes(key) && !deleteProperty(global, key)) return false
    }
  }
  return isExtensible(global) && getPrototypeOf(global) === builtIns
}
`

/**
 * Evaluates to `prepare(fn, form)`: freezes the function of a collection and gives `call(timeMs, who, first, second)`,
 * which runs it once. `who` is a text or undefined; `first` and `second` are JSON texts, or undefined. The call answers a
 * text, see `ANSWERS`; in front of it stands `!` if the realm must not be used again.
 */
export const PRELUDE: string = String.raw`(function () {
'use strict'
${HARDEN}
${ANSWERS}
function validate(fn, writer, event, instance) {
  return answerValidator(apply(fn, undefined, [writer, parse(event), instance === undefined ? undefined : parse(instance)]))
}

function filter(fn, reader, instance) {
  const given = parse(instance)
  return answerFilter(apply(fn, undefined, [reader, given]), given, instance)
}

return function prepare(fn, form) {
  freeze(fn.prototype)
  freeze(fn)
  const run = form === 'read-filter' ? filter : validate
  return function call(timeMs, who, first, second) {
    now = timeMs
    let text
    try {
      text = run(fn, who, first, second)
    } catch (error) {
      text = answerError(error)
    }
    return restore() ? text : '!' + text
  }
}
})()`
