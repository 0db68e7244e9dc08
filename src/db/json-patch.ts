/**
 * JSON Patch (RFC 6902) on documents. Written here, because members are data: packages look up names such as
 * `constructor` along the prototype chain. Costs are bounded: a few operations can double a document many times.
 */
import { textOfUtf8 } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import { MAX_DOCUMENT_BYTES } from './fold/constants.ts'
import { checkValue, type Document, isDocument, type JsonValue, MAX_DEPTH, member, sameValue } from './json.ts'

const MAX_OPERATIONS = 1_000
/** Values that all operations together copy or compare. A value takes a byte at least. */
const MAX_VALUES = MAX_DOCUMENT_BYTES

export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: readonly string[]; readonly value: JsonValue }
  | { readonly op: 'move' | 'copy'; readonly path: readonly string[]; readonly from: readonly string[] }
  | { readonly op: 'remove'; readonly path: readonly string[] }

type Members = Record<string, JsonValue>

/** Reads a JSON Patch. Throws INVALID_PATCH, INVALID_INSTANCE for a value that no document can hold, TOO_LARGE. */
export function parsePatch(bytes: Uint8Array): PatchOperation[] {
  let operations: JsonValue
  try {
    operations = JSON.parse(textOfUtf8(bytes)) as JsonValue
  } catch (cause) {
    throw new ThreadsError('INVALID_PATCH', 'the patch is not valid JSON', { cause })
  }
  if (!Array.isArray(operations)) throw invalid('the patch is not a list of operations')
  if (operations.length > MAX_OPERATIONS) {
    throw new ThreadsError('TOO_LARGE', `${operations.length} operations, at most ${MAX_OPERATIONS} are allowed`)
  }
  return operations.map(readOperation)
}

/**
 * The document after all operations. It is changed in place, so the caller must own it. Throws INVALID_PATCH,
 * INVALID_INSTANCE, TEST_FAILED, TOO_LARGE.
 */
export function applyPatch(document: Document, operations: readonly PatchOperation[]): Document {
  const id = document['_id']
  // Pointers lead through a parent, so that the whole document can be replaced as a member is.
  const root: Members = { document }
  const budget = new Budget()
  for (const operation of operations) apply(root, operation, budget)
  const patched = root['document']
  if (!isDocument(patched)) throw invalid('the document is no JSON object then')
  if (member(patched, '_id') !== id) throw invalid('_id cannot be changed')
  checkValue(patched, 1)
  return patched
}

function apply(root: Members, operation: PatchOperation, budget: Budget): void {
  switch (operation.op) {
    case 'add':
      return add(root, operation.path, operation.value)
    case 'remove':
      return remove(root, operation.path)
    case 'replace':
      valueAt(root, operation.path)
      return replace(root, operation.path, operation.value)
    case 'test': {
      const value = valueAt(root, operation.path)
      budget.spendWidth(value)
      if (sameValue(value, operation.value)) return undefined
      throw new ThreadsError('TEST_FAILED', `the value at ${textOf(operation.path)} is another one`)
    }
    case 'copy':
      return add(root, operation.path, budget.copy(valueAt(root, operation.from)))
    case 'move': {
      const { from, path } = operation
      const value = valueAt(root, from)
      if (from.length < path.length && from.every((name, at) => name === path[at])) {
        throw invalid(`${textOf(from)} cannot be moved into itself`)
      }
      remove(root, from)
      return add(root, path, value)
    }
  }
}

function add(root: Members, path: readonly string[], value: JsonValue): void {
  const { parent, name } = parentAt(root, path)
  if (!Array.isArray(parent)) return setMember(parent, name, value)
  const index = name === '-' ? parent.length : indexOf(name, path)
  if (index > parent.length) throw notThere(path)
  parent.splice(index, 0, value)
}

function remove(root: Members, path: readonly string[]): void {
  valueAt(root, path)
  const { parent, name } = parentAt(root, path)
  if (Array.isArray(parent)) parent.splice(indexOf(name, path), 1)
  else delete parent[name]
}

function replace(root: Members, path: readonly string[], value: JsonValue): void {
  const { parent, name } = parentAt(root, path)
  if (Array.isArray(parent)) parent[indexOf(name, path)] = value
  else setMember(parent, name, value)
}

/** Assigning to `__proto__` would not make a member. */
function setMember(parent: Members, name: string, value: JsonValue): void {
  Object.defineProperty(parent, name, { value, writable: true, enumerable: true, configurable: true })
}

function valueAt(root: Members, path: readonly string[]): JsonValue {
  return ['document', ...path].reduce<JsonValue>((value, name) => step(value, name, path), root)
}

/** What holds the last name of a path: an object or a list. */
function parentAt(root: Members, path: readonly string[]): { parent: Members | JsonValue[]; name: string } {
  const names = ['document', ...path]
  const name = names.pop() ?? ''
  const parent = names.reduce<JsonValue>((value, each) => step(value, each, path), root)
  if (typeof parent !== 'object' || parent === null) throw notThere(path)
  // The caller of `applyPatch` owns the document.
  return { parent: parent as Members | JsonValue[], name }
}

function step(value: JsonValue, name: string, path: readonly string[]): JsonValue {
  const next = Array.isArray(value) ? value[indexOf(name, path)] : isDocument(value) ? member(value, name) : undefined
  if (next === undefined) throw notThere(path)
  return next
}

function indexOf(name: string, path: readonly string[]): number {
  if (!/^(0|[1-9]\d{0,9})$/.test(name)) throw notThere(path)
  return Number(name)
}

/** Keeps a patch from taking time and memory far beyond its size. */
class Budget {
  #left = MAX_VALUES

  /** Of a comparison: it reads the names of an object before anything else. */
  spendWidth(value: JsonValue): void {
    if (typeof value === 'object' && value !== null) this.#spend(Object.keys(value).length)
  }

  copy(value: JsonValue, depth = 1): JsonValue {
    if (depth > MAX_DEPTH) throw invalid(`a value is nested more than ${MAX_DEPTH} levels deep`)
    this.#spend(typeof value === 'string' ? value.length : 1)
    if (typeof value !== 'object' || value === null) return value
    if (!isDocument(value)) return value.map((item) => this.copy(item, depth + 1))
    const copied: Members = {}
    for (const [name, inner] of Object.entries(value)) {
      this.#spend(name.length)
      setMember(copied, name, this.copy(inner, depth + 1))
    }
    return copied
  }

  #spend(values: number): void {
    this.#left -= values
    if (this.#left < 0) throw new ThreadsError('TOO_LARGE', 'the patch copies or compares too much')
  }
}

function readOperation(operation: JsonValue): PatchOperation {
  if (!isDocument(operation)) throw invalid('an operation is no JSON object')
  const op = member(operation, 'op')
  if (typeof op !== 'string') throw invalid('an operation has no op')
  const path = readPointer(member(operation, 'path'), 'path')
  switch (op) {
    case 'add':
    case 'replace':
    case 'test': {
      const value = member(operation, 'value')
      if (value === undefined) throw invalid(`${op} of ${textOf(path)} has no value`)
      checkValue(value, 1)
      return { op, path, value }
    }
    case 'move':
    case 'copy':
      return { op, path, from: readPointer(member(operation, 'from'), 'from') }
    case 'remove':
      return { op, path }
    default:
      throw invalid(`there is no operation ${op}`)
  }
}

/** A JSON Pointer (RFC 6901). */
function readPointer(pointer: JsonValue | undefined, name: string): string[] {
  if (typeof pointer !== 'string') throw invalid(`an operation has no ${name}`)
  if (pointer === '') return []
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) throw invalid(`${pointer} is no JSON Pointer`)
  const names = pointer.slice(1).split('/')
  return names.map((each) => each.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function textOf(path: readonly string[]): string {
  return `/${path.map((name) => name.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`
}

function notThere(path: readonly string[]): ThreadsError {
  return invalid(`there is nothing at ${textOf(path)}`)
}

function invalid(message: string): ThreadsError {
  return new ThreadsError('INVALID_PATCH', message)
}
