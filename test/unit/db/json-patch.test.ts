import * as fc from 'fast-check'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/core/bytes.ts'
import type { Collection } from '../../../src/db/index.ts'
import type { Document } from '../../../src/db/json.ts'
import { applyPatch, parsePatch } from '../../../src/db/json-patch.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, newNotes, noteOf } from '../../support/notes.ts'

/** A document after a patch. */
function patched(document: object, operations: unknown): unknown {
  const owned = JSON.parse(JSON.stringify(document)) as Document
  return JSON.parse(JSON.stringify(applyPatch(owned, parsePatch(utf8(JSON.stringify(operations))))))
}

const codeOf = (document: object, operations: unknown): unknown => {
  try {
    return patched(document, operations)
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
}

const documents = fc.dictionary(fc.string({ maxLength: 3 }), fc.jsonValue({ maxDepth: 3 }))

describe('a patch', () => {
  // Most of them are those of RFC 6902, appendix A.
  it.each<[string, object, unknown[], object]>([
    ['adds a member', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    ['adds into a list', { a: [1, 3] }, [{ op: 'add', path: '/a/1', value: 2 }], { a: [1, 2, 3] }],
    ['adds to the end of a list', { a: [1] }, [{ op: 'add', path: '/a/-', value: [2] }], { a: [1, [2]] }],
    ['adds where there is a member', { a: 1 }, [{ op: 'add', path: '/a', value: null }], { a: null }],
    ['removes a member', { a: 1, b: 2 }, [{ op: 'remove', path: '/a' }], { b: 2 }],
    ['removes from a list', { a: [1, 2, 3] }, [{ op: 'remove', path: '/a/1' }], { a: [1, 3] }],
    ['replaces', { a: { b: 1 } }, [{ op: 'replace', path: '/a/b', value: { c: 2 } }], { a: { b: { c: 2 } } }],
    ['replaces all', { a: 1 }, [{ op: 'replace', path: '', value: { b: 1 } }], { b: 1 }],
    ['moves', { a: { b: 1 }, c: {} }, [{ op: 'move', from: '/a/b', path: '/c/d' }], { a: {}, c: { d: 1 } }],
    ['moves in a list', { a: [1, 2, 3] }, [{ op: 'move', from: '/a/0', path: '/a/2' }], { a: [2, 3, 1] }],
    ['moves to where it is', { a: 1 }, [{ op: 'move', from: '/a', path: '/a' }], { a: 1 }],
    [
      'copies by value',
      { a: { b: 1 } },
      [
        { op: 'copy', from: '/a', path: '/c' },
        { op: 'replace', path: '/a/b', value: 2 },
      ],
      { a: { b: 2 }, c: { b: 1 } },
    ],
    [
      'tests, whatever the order of members',
      { a: { b: 1, c: [2] } },
      [{ op: 'test', path: '/a', value: { c: [2], b: 1 } }],
      { a: { b: 1, c: [2] } },
    ],
    [
      'reads escapes',
      { 'a/b': 1, 'm~n': 2 },
      [
        { op: 'remove', path: '/a~1b' },
        { op: 'remove', path: '/m~0n' },
      ],
      {},
    ],
    ['reads empty names', { '': { '': 1 } }, [{ op: 'replace', path: '//', value: 2 }], { '': { '': 2 } }],
  ])('%s', (_, document, operations, expected) => {
    expect(patched(document, operations)).toEqual(expected)
  })

  it.each<[string, unknown]>([
    ['no list', { op: 'remove', path: '/a' }],
    ['no operation', [1]],
    ['an unknown operation', [{ op: 'increment', path: '/a' }]],
    ['no path', [{ op: 'remove' }]],
    ['no pointer', [{ op: 'remove', path: 'a' }]],
    ['a bad escape', [{ op: 'remove', path: '/a~2' }]],
    ['no value', [{ op: 'add', path: '/b' }]],
    ['no from', [{ op: 'copy', path: '/b' }]],
    ['a path to nothing', [{ op: 'remove', path: '/b' }]],
    ['a parent that is not there', [{ op: 'add', path: '/b/c', value: 1 }]],
    ['a place beyond the list', [{ op: 'add', path: '/list/3', value: 1 }]],
    ['a place that is no number', [{ op: 'add', path: '/list/01', value: 1 }]],
    ['a test of nothing', [{ op: 'test', path: '/b', value: null }]],
    ['a move into itself', [{ op: 'move', from: '/deep', path: '/deep/er' }]],
    ['another _id', [{ op: 'replace', path: '/_id', value: 'y' }]],
    ['no _id', [{ op: 'remove', path: '/_id' }]],
    ['no object', [{ op: 'replace', path: '', value: [] }]],
    ['no document at all', [{ op: 'remove', path: '' }]],
  ])('is refused: %s', (_, operations) => {
    expect(codeOf({ _id: 'x', a: 1, list: [1, 2], deep: {} }, operations)).toBe('INVALID_PATCH')
  })

  it.each(['constructor', '__proto__', 'toString'])('takes %s for a member like any other', (name) => {
    expect(codeOf({ a: {} }, [{ op: 'add', path: `/a/${name}/x`, value: 1 }])).toBe('INVALID_PATCH')
    const document = applyPatch(
      { a: {} },
      parsePatch(utf8(JSON.stringify([{ op: 'add', path: `/a/${name}`, value: 1 }]))),
    )
    expect(Object.hasOwn(document['a'] as object, name)).toBe(true)
    expect(JSON.stringify(document)).toBe(`{"a":{"${name}":1}}`)
  })

  it('cannot make a document large or deep by copying it into itself', () => {
    const doubling = (from: string) => Array.from({ length: 60 }, (_, at) => ({ op: 'copy', from, path: `/a/x${at}` }))
    expect(codeOf({ a: { text: 'x'.repeat(1_000) } }, doubling('/a'))).toMatch(/TOO_LARGE|INVALID_PATCH/)
    const wide = Array.from({ length: 60 }, () => ({ op: 'copy', from: '/a/0', path: '/a/-' }))
    expect(codeOf({ a: ['x'.repeat(100_000)] }, wide)).toBe('TOO_LARGE')
    const deep = Array.from({ length: 80 }, (_, at) => ({ op: 'add', path: '/a'.repeat(at + 1), value: {} }))
    expect(codeOf({}, deep)).toBe('INVALID_INSTANCE')
    expect(codeOf({}, [...deep, { op: 'copy', from: '/a', path: '/b' }])).toBe('INVALID_PATCH')
  })

  it('has at most 1,000 operations', () => {
    const tests = (count: number) => Array.from({ length: count }, () => ({ op: 'test', path: '/a', value: 1 }))
    expect(codeOf({ a: 1 }, tests(1_000))).toEqual({ a: 1 })
    expect(codeOf({ a: 1 }, tests(1_001))).toBe('TOO_LARGE')
  })

  it('leads from any document to any other', () => {
    fc.assert(
      fc.property(documents, documents, (from, to) => {
        const operations = [
          ...Object.keys(from).map((name) => ({ op: 'remove', path: pointer(name) })),
          ...Object.entries(to).map(([name, value]) => ({ op: 'add', path: pointer(name), value })),
          { op: 'test', path: '', value: to },
        ]
        expect(patched(from, operations)).toEqual(JSON.parse(JSON.stringify(to)))
      }),
    )
  })
})

function pointer(name: string): string {
  return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

describe('a patch of a stored document', () => {
  let host: TestHost
  let notes: Collection
  beforeEach(async () => {
    host = await startHost({ net: { pull: false } })
    ;({ notes } = await newNotes(host))
    await notes.create([bytesOf({ _id: 'n', name: 'old' })])
  })
  afterEach(() => host[Symbol.asyncDispose]())

  const patch = (...operations: unknown[]): Promise<void> => notes.patch('n', utf8(JSON.stringify(operations)))
  const nameNow = async (): Promise<unknown> => noteOf(await notes.findById('n'))['name']

  it('changes it', async () => {
    await patch({ op: 'replace', path: '/name', value: 'new' })
    expect(await nameNow()).toBe('new')
  })

  it('lets one of many win that test for the same value', async () => {
    const names = Array.from({ length: 8 }, () => randomBytes(4).toString('hex'))
    const tries = names.map((value) =>
      patch({ op: 'test', path: '/name', value: 'old' }, { op: 'replace', path: '/name', value }),
    )
    const outcomes = await Promise.allSettled(tries)
    expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBe(1)
    const lost = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
    expect(lost).toEqual(Array.from({ length: 7 }, () => 'TEST_FAILED'))
    expect(await nameNow()).toBe(names[outcomes.findIndex(({ status }) => status === 'fulfilled')])
  })

  it('must fit the schema, and be of a document that is there', async () => {
    await expect(patch({ op: 'replace', path: '/name', value: 7 })).rejects.toMatchObject({ code: 'INVALID_INSTANCE' })
    await expect(notes.patch('absent', utf8('[]'))).rejects.toMatchObject({ code: 'INSTANCE_NOT_FOUND' })
    expect(await nameNow()).toBe('old')
  })
})
