/**
 * What every host must do alike when it judges, so that all come to the same verdict: the engine build and these limits.
 * Changing any of them needs a new `JUDGE_VERSION`, with the old one kept for lists that name it.
 */
export const JUDGE_VERSION = 'quickjs-0.32.0/1'

/** Who asks decides how far a call may go: an author's host stops early, so that honest records stay far from the limit. */
export type Budget = 'judge' | 'author'

export interface Limits {
  /** The engine counts a tick every 10,000 jumps, calls or steps of a regular expression: about 5,000 turns of a loop. */
  readonly ticks: number
  /** Of the whole engine, in which a fresh realm takes about 1 MiB. */
  readonly memoryBytes: number
}

const MIB = 1024 * 1024

export const LIMITS: Record<Budget, Limits> = {
  judge: { ticks: 4000, memoryBytes: 256 * MIB },
  author: { ticks: 1000, memoryBytes: 64 * MIB },
}

/** Of the engine that calls share. One that needs more is run again in an engine of its own. */
export const SHARED_MEMORY_BYTES: number = 64 * MIB

/** Deeper recursion throws inside the function. More would let the engine overflow the stack of its thread. */
export const STACK_BYTES: number = 256 * 1024

/** Of the body of a validator or filter, in UTF-16 units. */
export const MAX_SOURCE_CHARS: number = 256 * 1024

/** Of what a read filter shows of one document, as JSON. */
export const MAX_SHOWN_CHARS: number = 4 * MIB

/** Of a message or value in a refusal. */
export const MAX_MESSAGE_CHARS = 1024
