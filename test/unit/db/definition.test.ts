import { describe, expect, it } from 'vitest'
import { decode, encode } from '../../../src/core/cbor.ts'
import {
  type CollectionDefinition,
  newDefinition,
  readDefinition,
  validatorsOf,
  withCollection,
  withoutCollection,
  withValidator,
} from '../../../src/db/definition.ts'

const collection = (name: string, changes: Partial<CollectionDefinition> = {}): CollectionDefinition => {
  return { name, schema: '{}', shownSchema: '{}', indexes: [], writeValidator: '', readFilter: '', ...changes }
}
const rule = (validator: string, since: bigint) => ({ validator, since, judge: 'engine' })

describe('a definition', () => {
  it('is read back as it was stored', () => {
    const now = 1_800_000_000_000_000_000n
    const first = withValidator(withCollection(newDefinition('zoo'), collection('A')), 'A', rule('one', now))
    const definition = withValidator(first, 'A', rule('two', now + 1n))
    expect(readDefinition(decode(encode(definition)))).toEqual(definition)
    expect(readDefinition(definition)).toEqual(definition)
  })

  it('is not what another owner keeps with a thread', () => {
    for (const other of [undefined, null, 7, 'db', {}, { kind: 'files' }]) expect(readDefinition(other)).toBeUndefined()
  })

  it('keeps collections in the order of creation', () => {
    const both = withCollection(withCollection(newDefinition('zoo'), collection('A')), collection('B'))
    const changed = withCollection(both, collection('A', { schema: '{"a":1}' }))
    expect(changed.collections.map(({ name, schema }) => `${name} ${schema}`)).toEqual(['A {"a":1}', 'B {}'])
    expect(withoutCollection(changed, 'A').collections).toEqual([collection('B')])
  })
})

describe('the validators of a collection', () => {
  it('begin with the beginning of time, and follow each other', () => {
    let definition = newDefinition('zoo')
    definition = withValidator(definition, 'A', rule('', 5n))
    expect(validatorsOf(definition, 'A')).toEqual([])
    definition = withValidator(definition, 'A', rule('one', 10n))
    definition = withValidator(definition, 'A', rule('one', 15n))
    definition = withValidator(definition, 'A', rule('', 20n))
    definition = withValidator(definition, 'A', rule('two', 30n))
    expect(validatorsOf(definition, 'A')).toEqual([rule('one', 0n), rule('', 20n), rule('two', 30n)])
    expect(validatorsOf(definition, 'B')).toEqual([])
  })

  it('outlive the collection', () => {
    const judged = withValidator(withCollection(newDefinition('zoo'), collection('A')), 'A', rule('one', 1n))
    expect(validatorsOf(withoutCollection(judged, 'A'), 'A')).toHaveLength(1)
  })
})
