import * as fc from 'fast-check'
import type { JsonValue } from '../../src/db/json.ts'

/** Texts that are hard to order: lone surrogates, NUL, characters beyond U+FFFF, and long ones with a common start. */
export const hardTexts: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '\u0000', '\u0001', 'ÿ', '\ud800', '\udc00', '\uffff', '\ue000', '😀') }),
  fc.tuple(fc.integer({ min: 509, max: 515 }), fc.constantFrom('', 'x', 'y', '\u0000', 'é')).map(([length, end]) => {
    return 'a'.repeat(length) + end
  }),
)

const numbers = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 0.5, Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)

const scalars: fc.Arbitrary<JsonValue> = fc.oneof(fc.constant(null), fc.boolean(), numbers, hardTexts)

/** A value of a member; `undefined` for a member that is missing. */
export const memberValues: fc.Arbitrary<JsonValue | undefined> = fc.oneof(
  { weight: 6, arbitrary: scalars },
  { weight: 1, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.array(scalars, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.dictionary(fc.constantFrom('k', 'l'), scalars) },
)

/** -1, 0 or 1, for what a comparison returns. Never -0, which tests tell from 0. */
export function signOf(order: number): number {
  return Math.sign(order) + 0
}
