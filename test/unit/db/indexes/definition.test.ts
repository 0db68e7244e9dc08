import { expect, test } from 'vitest'
import { ThreadsError } from '../../../../src/core/errors.ts'
import { defineIndex } from '../../../../src/db/indexes/definition.ts'
import { compileSchema } from '../../../../src/db/schema/index.ts'

const schema = compileSchema(
  JSON.stringify({
    $ref: '#/definitions/Person',
    definitions: {
      Person: {
        properties: {
          _id: { type: 'string' },
          name: { type: 'string' },
          age: { type: 'integer' },
          height: { type: 'number' },
          active: { type: 'boolean' },
          untyped: {},
          nothing: { type: 'null' },
          comments: { type: 'array' },
          toys: { $ref: '#/definitions/Toys' },
          circle: { $ref: '#/definitions/Circle' },
        },
      },
      Toys: { type: 'object', properties: { favourite: { type: 'string' } } },
      Circle: { $ref: '#/definitions/Circle' },
    },
  }),
)

test.each(['name', 'age', 'height', 'active', 'toys.favourite'])('%s can be indexed', (path) => {
  expect(defineIndex(schema, { path }, 3)).toEqual({
    number: 3,
    fields: [{ path, desc: false }],
    unique: false,
    encoding: 1,
    ready: false,
  })
})

test('an index is unique if it is asked to be', () => {
  expect(defineIndex(schema, { path: 'name', unique: true }, 1).unique).toBe(true)
})

test.each([
  ['toys', 'value not indexable'],
  ['comments', 'value not indexable'],
  ['untyped', 'value not indexable'],
  ['nothing', 'value not indexable'],
  ['nope', 'collection schema does not contain path'],
  ['toys.nope', 'collection schema does not contain path'],
  ['name.first', 'collection schema does not contain path'],
  ['circle', 'collection schema does not contain path'],
  ['toString', 'collection schema does not contain path'],
  ['', 'collection schema does not contain path'],
  ['_id', 'cannot create custom index on _id'],
  ['a'.repeat(2_000), 'a path has at most 1024 characters'],
])('%s cannot: %s', (path, message) => {
  expect(() => defineIndex(schema, { path }, 1)).toThrow(new ThreadsError('INVALID_INDEX', message))
})
