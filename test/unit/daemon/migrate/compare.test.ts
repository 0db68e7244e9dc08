import { describe, expect, it } from 'vitest'
import { lacking, otherCollections, recordsOf, sameHeads } from '../../../../daemon/migrate/compare.ts'
import type { CollectionConfig, LogHead } from '../../../../src/client/node/index.ts'
import { utf8 } from '../../../../src/core/bytes.ts'
import { newPeer } from '../../../support/fake-replica.ts'

const [one, two] = [newPeer().id, newPeer().id]
const log = (id: typeof one, counter: number, head = `${id} ${counter}`): LogHead => ({ id, counter, head })
const empty = (id: typeof one): LogHead => ({ id, counter: 0, head: '' })

const config: CollectionConfig = {
  name: 'Dog',
  schema: utf8('{"type":"object","properties":{"_id":{"type":"string"}},"required":["_id","n"]}'),
  indexes: [
    { path: 'a', unique: true },
    { path: 'b', unique: false },
  ],
  writeValidator: 'return true',
  readFilter: '',
}

describe('heads of logs', () => {
  it('are the same in any order, and with empty logs that only one side knows', () => {
    expect(sameHeads([log(one, 3), log(two, 1)], [log(two, 1), log(one, 3)])).toBe(true)
    expect(sameHeads([log(one, 3), empty(two)], [log(one, 3)])).toBe(true)
    expect(sameHeads([], [])).toBe(true)
  })

  it('differ by one record, by one log, and by a record in the place of another', () => {
    expect(sameHeads([log(one, 3)], [log(one, 2)])).toBe(false)
    expect(sameHeads([log(one, 3), log(two, 1)], [log(one, 3)])).toBe(false)
    expect(sameHeads([log(one, 3)], [log(one, 3, 'other')])).toBe(false)
  })
})

describe('records that are lacking', () => {
  it('are counted log by log, on one side only', () => {
    const [held, other] = [[log(one, 9), log(two, 4), empty(one)], [log(one, 10)]]
    expect(lacking(held, other)).toBe(4)
    expect(lacking(other, held.slice(0, 1))).toBe(1)
    expect(lacking(held, undefined)).toBe(13)
    expect(lacking(undefined, held)).toBe(0)
    expect(recordsOf(held)).toBe(13)
  })

  it('count as one where a daemon does not know the number', () => {
    expect(lacking([log(one, 0, 'head')], [empty(one)])).toBe(1)
    expect(lacking([log(one, 0, 'head')], [log(one, 0, 'head')])).toBe(0)
  })
})

describe('definitions of collections', () => {
  it('are the same with members and indexes in another order', () => {
    const schema = utf8('{ "required": ["_id","n"], "properties": {"_id":{"type":"string"}}, "type": "object" }')
    expect(otherCollections([config], [{ ...config, schema, indexes: config.indexes.toReversed() }])).toEqual([])
    expect(otherCollections([], [config])).toEqual([])
  })

  it.each<[string, Partial<CollectionConfig>]>([
    ['schema', { schema: utf8('{"type":"object","properties":{"_id":{"type":"string"}},"required":["n","_id"]}') }],
    ['index', { indexes: config.indexes.map((index) => ({ ...index, unique: true })) }],
    ['validator', { writeValidator: 'return false' }],
    ['filter', { readFilter: 'return instance' }],
    ['name', { name: 'Cat' }],
  ])('differ by a %s', (_what, change) => {
    expect(otherCollections([config], [{ ...config, ...change }])).toEqual(['Dog'])
  })
})
