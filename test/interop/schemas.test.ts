import { expect } from 'vitest'
import { utf8 } from '../../src/core/bytes.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { createAction } from '../../src/db/actions.ts'
import { type CollectionSchema, compileSchema, refuseSchemaWithoutId } from '../../src/db/schema/index.ts'
import { testVectors, type VectorCase } from '../support/vectors.ts'
import { answerIn, SCHEMA_FAULTS, SCHEMAS } from './differences.ts'

const PREFIX = "instance doesn't correspond to schema: "

testVectors('schemas.json', {
  async case(one) {
    const schema = accepted(one)
    if (schema === undefined) return
    expect(schema.stored).toBe(one.string('stored'))
    if (!one.has('instances')) return
    for (const instance of one.list('instances')) await checkInstance(one, instance, schema)
  },
})

/** Makes the schema; if the case says it must not be, checks why, and returns nothing. */
function accepted(one: VectorCase): CollectionSchema | undefined {
  const make = (): CollectionSchema => {
    const schema = compileSchema(one.string('schema'))
    if (one.has('stage') && one.string('stage') === 'json') throw new Error('the JSON of the schema was not refused')
    refuseSchemaWithoutId(schema)
    return schema
  }
  if (one.boolean('accepted')) return make()
  expect(make).toThrow(new ThreadsError('INVALID_SCHEMA', one.string('error')))
  return undefined
}

async function checkInstance(one: VectorCase, instance: VectorCase, schema: CollectionSchema): Promise<void> {
  const text = instance.string('instance')
  const { id, error } = await create(text, schema)
  const different = answerIn(SCHEMAS, `${one.string('name')} ${text}`) ?? depthLimit(text)
  expect(error === undefined, error?.message ?? 'was accepted').toBe(different ?? isValid(one, instance))
  if (different !== undefined || one.fault) return
  if (error === undefined) {
    if (instance.has('id')) expect(id).toBe(instance.string('id'))
    return
  }
  const wanted = instance.string('error')
  if (!wanted.startsWith(PREFIX)) {
    expect(['INVALID_SCHEMA', 'INVALID_INSTANCE']).toContain(error.code)
    return
  }
  expect(error.code).toBe('INVALID_INSTANCE')
  const variants = instance.has('errorVariants') ? instance.value('errorVariants') : [wanted]
  expect(variants).toContain(error.message)
}

/** A schema that names a file stays refused, without the file being opened. */
function isValid(one: VectorCase, instance: VectorCase): boolean {
  return (one.fault ? answerIn(SCHEMA_FAULTS, one.string('name')) : undefined) ?? instance.boolean('valid')
}

/** Documents are at most 64 levels deep. */
function depthLimit(text: string): false | undefined {
  return text.includes('['.repeat(64)) ? false : undefined
}

async function create(text: string, schema: CollectionSchema): Promise<{ id?: string; error?: ThreadsError }> {
  try {
    const { id } = await createAction(utf8(text), {
      collection: 'Things',
      schema,
      stored: nothing,
      earlier: () => [],
      served: nothing,
      newId: () => '01hq3v5zt7k2m9x4c8b6n1d0fe',
      modified: () => 1,
    })
    return { id }
  } catch (error) {
    if (error instanceof ThreadsError) return { error }
    throw error
  }
}

async function nothing(): Promise<undefined> {
  return undefined
}
