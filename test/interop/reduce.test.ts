import { expect } from 'vitest'
import { peerIdToBytes } from '../../src/core/peer-id.ts'
import { diffPatch, type JsonValue, mergePatch, parseDocument } from '../../src/db/json.ts'
import type { PlainEvent } from '../support/fold-oracle.ts'
import { digestOf, FoldWorld, foldRecordOf, logNumbered } from '../support/fold-world.ts'
import { testVectors, type VectorCase } from '../support/vectors.ts'
import { answerIn, REDUCE } from './differences.ts'

/** Stored documents that are no JSON objects: no such document can come into being here. */
const IMPOSSIBLE_BEGINNINGS = ['save onto a stored document that is not JSON', 'save onto a stored null']

testVectors('reduce.json', {
  merge(one) {
    const outOfRange = ['base', 'patch'].some((name) => one.has(name) && one.string(name).includes('e400'))
    if (one.has('error') || one.has('baseHex') || one.has('patchHex') || outOfRange) {
      expect(() => [parseDocument(one.textBytes('base')), parseDocument(one.textBytes('patch'))]).toThrow()
      return
    }
    const expected = one.has('rfc7396') ? one.string('rfc7396') : one.string('result')
    expect(plain(mergePatch(parsed(one, 'base'), parsed(one, 'patch')))).toEqual(plain(JSON.parse(expected)))
  },

  diff(one) {
    const given = () => [parseDocument(one.textBytes('previous')), parseDocument(one.textBytes('next'))] as const
    if (one.has('error') || !bothObjects(one)) {
      expect(given).toThrow()
      return
    }
    const [previous, next] = given()
    const patch = plain(diffPatch(previous, next))
    const goPatch = plain(JSON.parse(one.string('patch')))
    // Where Go's patch does not lead to the next document, one that does is as good.
    if (!equal(patch, goPatch)) {
      expect(plain(mergePatch(previous, JSON.parse(one.string('patch'))))).not.toEqual(plain(next))
      expect(plain(mergePatch(previous, diffPatch(previous, next)))).toEqual(plain(next))
    }
  },

  async reduce(one) {
    const name = one.string('name')
    if (IMPOSSIBLE_BEGINNINGS.includes(name)) {
      const [document] = one.list('initial')
      expect(() => parseDocument(document?.string('document') ?? '')).toThrow()
      return
    }
    const world = await worldAfter(one)
    const documents: Record<string, unknown> = {}
    for (const [key, { document }] of world.rows) {
      if (document !== undefined) documents[key] = JSON.parse(new TextDecoder().decode(document))
    }
    const ours = answerIn(REDUCE, name)
    if (one.fault) expect(ours, 'right answer').toBeDefined()
    expect(documents).toEqual(ours ?? documentsIn(one.list('final')))
    if (name === 'create stores the document verbatim') {
      const stored = world.rows.get('Dog/x')?.document
      expect(new TextDecoder().decode(stored)).toBe(one.list('final')[0]?.string('document'))
    }
  },
})

/** Folds the documents of before, and then the records in the order of the case. */
async function worldAfter(one: VectorCase): Promise<FoldWorld> {
  const world = new FoldWorld()
  const initial = one.list('initial').map((document): PlainEvent => {
    const [collection, id] = [document.string('collection'), document.string('instanceID')]
    return { type: 'create', collection, id, timestamp: 0n, patch: document.string('document') }
  })
  const bodies = [initial, ...one.list('records').map((record) => record.list('events').map(eventOf))]
  for (const [index, body] of bodies.entries()) {
    if (body.some((event) => event === undefined)) continue
    // Each record in a log of its own, as from many writers.
    const record = { log: peerIdToBytes(logNumbered(index)), counter: 1, writer: 'ann', digest: digestOf(`${index}`) }
    await world.fold([foldRecordOf({ ...record, body: body.filter((event) => event !== undefined) }, 0n)])
  }
  return world
}

/** `undefined` for an event of unknown type, whose record is refused when it is read. */
function eventOf(event: VectorCase): PlainEvent | undefined {
  const type = (['create', 'save', 'delete'] as const)[event.number('type')]
  if (type === undefined) return undefined
  const text = event.string('timestamp')
  const [collection, id] = [event.string('collection'), event.string('instanceID')]
  const plainEvent = { type, collection, id, timestamp: text === 'map[]' ? 0n : BigInt(text) }
  return event.has('jsonPatch') ? { ...plainEvent, patch: event.string('jsonPatch') } : plainEvent
}

function documentsIn(list: readonly VectorCase[]): Record<string, unknown> {
  const named = list.map((each) => {
    return [`${each.string('collection')}/${each.string('instanceID')}`, JSON.parse(each.string('document'))] as const
  })
  return Object.fromEntries(named)
}

function parsed(one: VectorCase, name: string): JsonValue {
  return JSON.parse(one.string(name))
}

function bothObjects(one: VectorCase): boolean {
  return [parsed(one, 'previous'), parsed(one, 'next')].every((value) => {
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  })
}

function equal(a: unknown, b: unknown): boolean {
  try {
    expect(a).toEqual(b)
    return true
  } catch {
    return false
  }
}

/** As JSON says it, for comparison: without -0, and lone surrogates, which are kept here, as Go writes them. */
function plain(value: JsonValue): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll(/\\ud[89a-f][0-9a-f]{2}/g, '\ufffd'))
}
