/**
 * What every host must do alike when it judges, so that all come to the same verdict: the engine build and these limits.
 * Changing any of them needs a new `JUDGE_VERSION`, with the old one kept for lists that name it.
 */
export const JUDGE_VERSION = 'quickjs-0.32.0/1'

/** Who asks decides how far a call may go: an author's host stops early, so that honest records stay far from the limit. */
export type Budget = 'judge' | 'author'

export interface Limits {
  /** A tick is `STEPS_PER_TICK` steps. */
  readonly ticks: number
  /**
   * What the engine itself does, in units of `meterModule`: a step takes about 10, and a built-in may take any number
   * within one step. The most that are possible take some seconds.
   */
  readonly work: number
  /** Of the whole engine, in which a fresh realm takes about 1 MiB. */
  readonly memoryBytes: number
}

/** Jumps, calls or steps of a regular expression; a turn of a loop is about two. */
export const STEPS_PER_TICK = 10_000

const KIB = 1024
const MIB = 1024 * KIB

export type Limit = 'steps' | 'work' | 'memory' | 'stack'

/** What a call may use, in words. */
export function allowed(limit: Limit, { ticks, work, memoryBytes }: Limits): string {
  switch (limit) {
    case 'steps':
      return `${ticks * STEPS_PER_TICK} steps`
    case 'work':
      return `${work} units of work inside built-ins`
    case 'memory':
      return `${memoryBytes / MIB} MiB`
    case 'stack':
      return `${THREAD_STACK_BYTES / KIB} KiB of its thread`
  }
}

export const LIMITS: Record<Budget, Limits> = {
  judge: { ticks: 4000, work: 600_000_000, memoryBytes: 256 * MIB },
  author: { ticks: 1000, work: 150_000_000, memoryBytes: 64 * MIB },
}

/** Of the engine that calls share. One that needs more is run again in an engine of its own. */
export const SHARED_MEMORY_BYTES: number = 64 * MIB

/**
 * Which part of its work a call may do in the shared engine. What was done there before moves the count (when garbage is
 * collected, how large the engine's tables are), but not by such a factor: no call that ends within its part there
 * would reach the limit in an engine of its own.
 */
export const SHARED_PART: number = 1 / 16

/** A call that does more of its work than this leaves larger tables behind; its realm is not used again. */
export const LIGHT_PART: number = 1 / 128

/** Of the engine's own stack. Deeper recursion throws inside the function. */
export const STACK_BYTES: number = 96 * 1024

/**
 * Of the stack of the thread, which the engine spends too: some of its functions, above all those that read sources, need
 * many times more of it than of its own. Browsers give workers less than 1 MiB.
 */
export const THREAD_STACK_BYTES: number = 320 * 1024

/** Of the body of a validator or filter, in UTF-16 units. */
export const MAX_SOURCE_CHARS: number = 256 * 1024

/** Of what a read filter shows of one document, as JSON. */
export const MAX_SHOWN_CHARS: number = 4 * MIB

/** Of a message or value in a refusal. */
export const MAX_MESSAGE_CHARS = 1024
