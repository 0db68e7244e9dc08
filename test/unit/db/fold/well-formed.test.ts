import { describe, expect, test } from 'vitest'
import { fromHex, utf8 } from '../../../../src/core/bytes.ts'
import { type EventData, encodeEvents } from '../../../../src/core/events.ts'
import { REASONS } from '../../../../src/db/fold/reasons.ts'
import { type Content, readContent } from '../../../../src/db/fold/well-formed.ts'

const GOOD = { id: 'x', instanceId: 'x', type: 'save', patch: utf8('{}'), timestamp: 1n, collection: 'Dog' } as const

function reasonOf(event: Partial<EventData>): number {
  const content = readContent(encodeEvents([GOOD, { ...GOOD, ...event }]))
  return content.kind === 'refused' ? content.reason : REASONS.accepted
}

function contentOf(events: number): Content {
  return readContent(encodeEvents(Array.from({ length: events }, () => GOOD)))
}

describe('a record is refused whole', () => {
  test.each<[string, Partial<EventData>, keyof typeof REASONS]>([
    ['for an empty collection name', { collection: '' }, 'badCollectionName'],
    ['for a name with a space', { collection: 'a b' }, 'badCollectionName'],
    ['for a name with two hyphens in a row', { collection: 'a--b' }, 'badCollectionName'],
    ['for a reserved name', { collection: '$a' }, 'badCollectionName'],
    ['for a name with a line break at its end', { collection: 'a\n' }, 'badCollectionName'],
    ['for a name that no key can hold', { collection: 'a'.repeat(257) }, 'badCollectionName'],
    ['for an empty id', { id: '' }, 'badId'],
    ['for an id of 513 bytes', { id: `${'\u00e9'.repeat(256)}x` }, 'badId'],
    ['for a timestamp of 2^63', { timestamp: 2n ** 63n }, 'badTimestamp'],
    ['for a missing patch', { patch: undefined }, 'badPatch'],
    ['for a patch that is no JSON', { patch: utf8('{') }, 'badPatch'],
    ['for a patch that is no object', { patch: utf8('[]') }, 'badPatch'],
    ['for a patch that is not UTF-8', { patch: fromHex('7b2261223a22fffe227d') }, 'badPatch'],
    ['for a number out of range', { patch: utf8('{"a":-1e400}') }, 'badPatch'],
    ['for deep nesting', { patch: utf8(`${'{"a":'.repeat(64)}{}${'}'.repeat(64)}`) }, 'badPatch'],
    ["for an _id that is not the event's", { patch: utf8('{"_id":"y"}') }, 'badPatch'],
    ['for an _id of null', { patch: utf8('{"_id":null}') }, 'badPatch'],
  ])('%s', (_, event, reason) => {
    expect(reasonOf(event)).toBe(REASONS[reason])
  })

  test('if its key is missing', () => {
    expect(readContent(undefined)).toEqual({ kind: 'refused', reason: REASONS.unreadable })
  })

  test('if it does not hold events', () => {
    expect(readContent(utf8('garbage'))).toEqual({ kind: 'refused', reason: REASONS.undecodable })
    expect(readContent(new Uint8Array(0))).toEqual({ kind: 'refused', reason: REASONS.undecodable })
  })

  test('for an event of unknown type', () => {
    const body = encodeEvents([GOOD])
    const type = body.indexOf(0x01, body.indexOf(0x65))
    expect(readContent(body.with(type, 0x03))).toEqual({ kind: 'refused', reason: REASONS.badType })
  })

  test('for more than 10,000 events', () => {
    expect(contentOf(10_000).kind).toBe('events')
    expect(contentOf(10_001)).toEqual({ kind: 'refused', reason: REASONS.tooManyEvents })
  })
})

describe('a record is well formed', () => {
  test.each<[string, Partial<EventData>]>([
    ['with an id of 512 bytes', { id: '\u00e9'.repeat(256) }],
    ['with the last timestamp', { timestamp: 2n ** 63n - 1n }],
    ['with a timestamp before 1970', { timestamp: -1n }],
    ['with a create that names no _id', { type: 'create' }],
    ['with a delete, whatever its patch', { type: 'delete', patch: utf8('{') }],
    ['whatever instance only validators see', { instanceId: 'another' }],
  ])('%s', (_, event) => {
    expect(reasonOf(event)).toBe(REASONS.accepted)
  })

  test('without events', () => {
    expect(readContent(encodeEvents([]))).toEqual({ kind: 'events', events: [] })
  })
})
