/** Filters mean on the wire what they mean here. That hosts answer them is tested by the conformance suite. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { textOfUtf8 } from '../../../src/core/bytes.ts'
import { encodeQuery } from '../../../src/documents/filter.ts'

type Values = Readonly<Record<string, number>>
type Filter = { readonly [name: string]: number | Readonly<Record<string, number>> | readonly Filter[] }

interface WireCriterion {
  readonly fieldPath: string
  readonly operation: number
  readonly value: { readonly float: number }
}

interface WireQuery {
  readonly ands?: readonly WireCriterion[]
  readonly ors?: readonly WireQuery[]
}

const COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  $eq: (a, b) => a === b,
  $ne: (a, b) => a !== b,
  $gt: (a, b) => a > b,
  $lt: (a, b) => a < b,
  $gte: (a, b) => a >= b,
  $lte: (a, b) => a <= b,
}

/** What a filter says, read from its definition. */
function holds(filter: Filter, values: Values): boolean {
  return Object.entries(filter).every(([name, condition]) => {
    if (Array.isArray(condition)) {
      const parts: readonly Filter[] = condition
      return name === '$and' ? parts.every((part) => holds(part, values)) : parts.some((part) => holds(part, values))
    }
    const comparisons = typeof condition === 'number' ? { $eq: condition } : condition
    return Object.entries(comparisons).every(([operator, value]) =>
      COMPARE[operator]?.(values[name] ?? 0, Number(value)),
    )
  })
}

/** What a query of the wire says: all of `ands`, or any of `ors`. */
function answers({ ands = [], ors = [] }: WireQuery, values: Values): boolean {
  if (ands.length === 0 && ors.length === 0) return true
  const operators = Object.keys(COMPARE)
  const all = ands.every(({ fieldPath, operation, value }) =>
    COMPARE[operators[operation] ?? '']?.(values[fieldPath] ?? 0, value.float),
  )
  return (ands.length > 0 && all) || ors.some((alternative) => answers(alternative, values))
}

const names = fc.constantFrom('a', 'b', 'c')
const small = fc.integer({ min: 0, max: 3 })
const comparison = fc.dictionary(fc.constantFrom(...Object.keys(COMPARE)), small, { minKeys: 1, maxKeys: 2 })
const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc
    .tuple(
      fc.dictionary(names, fc.oneof(small, comparison), { maxKeys: 2 }),
      fc.option(fc.array(tie('filter'), { minLength: 1, maxLength: 2 }), { depthSize: 'small' }),
      fc.option(fc.array(tie('filter'), { minLength: 1, maxLength: 3 }), { depthSize: 'small' }),
    )
    .map(([conditions, $and, $or]) => ({ ...conditions, ...($and && { $and }), ...($or && { $or }) })),
}))

describe('the query of a filter', () => {
  it('answers what the filter says', () => {
    const documents = fc.array(fc.record({ a: small, b: small, c: small }), { minLength: 5, maxLength: 5 })
    fc.assert(
      fc.property(filter, documents, (wanted, all) => {
        let query: WireQuery
        try {
          query = JSON.parse(textOfUtf8(encodeQuery(wanted, {})))
        } catch (error) {
          expect(error).toMatchObject({ message: expect.stringContaining('more than 1000 alternatives') })
          return
        }
        for (const values of all) expect(answers(query, values)).toBe(holds(wanted, values))
      }),
      { numRuns: 100 },
    )
  })

  it('refuses what would be very many alternatives, without making them', () => {
    const either = { $or: [{ a: 1 }, { b: 1 }] }
    const refused = expect.objectContaining({ code: 'INVALID_QUERY' })
    expect(() => encodeQuery({ $and: Array.from({ length: 64 }, () => either) }, {})).toThrow(refused)
    let deep: object = { a: 1 }
    for (let level = 0; level < 40; level++) deep = { $and: [deep] }
    expect(() => encodeQuery(deep, {})).toThrow(refused)
  })

  it('says how to name members of objects', () => {
    expect(() => encodeQuery({ address: { city: 'Graz' } }, {})).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('address.city') }),
    )
  })
})
