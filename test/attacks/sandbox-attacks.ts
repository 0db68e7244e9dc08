import type { Attack } from './sandbox/attack.ts'
import { BOMBS } from './sandbox/bombs.ts'
import { BREAK_OUTS } from './sandbox/break-outs.ts'
import { BUILT_INS } from './sandbox/built-ins.ts'
import { LEFTOVERS } from './sandbox/leftovers.ts'
import { NONDETERMINISM } from './sandbox/nondeterminism.ts'
import { RESULTS } from './sandbox/results.ts'
import { TAMPERING } from './sandbox/tampering.ts'

/** All attacks, by what they are after. */
export const SANDBOX_ATTACKS: readonly (readonly [aim: string, attacks: readonly Attack[]])[] = [
  ['tampers with what is built in', TAMPERING],
  ['keeps state from call to call', LEFTOVERS],
  ['answers what is hard to read', RESULTS],
  ['breaks out of its source', BREAK_OUTS],
  ['uses up what it gets', BOMBS],
  ['runs inside of built-ins', BUILT_INS],
  ['judges differently elsewhere', NONDETERMINISM],
]
