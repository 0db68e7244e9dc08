import type { Budget } from './limits.ts'

export type FunctionForm = 'write-validator' | 'read-filter'

/** The body of a function of a collection. */
export interface SandboxFunction {
  readonly form: FunctionForm
  readonly source: string
}

/** One call. The function gets values: the texts are parsed inside and are never part of a source. */
export interface SandboxCall {
  /** Index into the functions of the work. */
  readonly fn: number
  /** What `Date` shows, in ms. */
  readonly timeMs: number
  /** The writer or reader. */
  readonly who: string | undefined
  /** JSON: the event for a validator, the document for a filter. Absent: the function is compiled and not called. */
  readonly first: string | undefined
  /** JSON: the document before the event, for a validator. */
  readonly second: string | undefined
}

/** One message to a worker. It replies with one answer for each of the first calls, or for all. */
export interface Work {
  readonly functions: readonly SandboxFunction[]
  readonly calls: readonly SandboxCall[]
  readonly budget: Budget
}

/**
 * What became of a call: `compiled`, `uncompilable`, `out-of-steps`, `out-of-work`, `out-of-memory`, `out-of-stack`, or a
 * word of `ANSWERS`.
 */
export interface Answer {
  readonly word: string
  /** The value, the JSON, what went wrong, or what would have been allowed; empty where there is none. */
  readonly text: string
}

/** Reads a word and, after a space, a text. */
export function parseAnswer(said: string): Answer {
  const space = said.indexOf(' ')
  return space < 0 ? { word: said, text: '' } : { word: said.slice(0, space), text: said.slice(space + 1) }
}

/** A compiled `WebAssembly.Module`, only handed on here. */
export type CompiledEngine = object

/** What a worker says: first what it is, where that is asked for, then the answers to one work after the other. */
export type Reply = { readonly wasm: CompiledEngine } | { readonly answers: readonly Answer[] }

/** What a worker is started with. */
export interface WorkerSetup {
  /** Shared memory, see `PROGRESS` and `THREAD_ID`. */
  readonly shared: Int32Array
  /** The engine as another worker has made it; absent for the first, which tells what it made. */
  readonly wasm: CompiledEngine | undefined
}

/**
 * Indexes into the shared memory. The worker adds 1 to its progress when it begins a work and after every call, so that its
 * owner can tell a long work from a stuck call. The other is the system's id of its thread; 0 where that is not known.
 */
export const PROGRESS = 0
export const THREAD_ID = 1
export const SHARED_LENGTH = 2
