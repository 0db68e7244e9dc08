import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { copyBytes, utf8 } from '../../../src/core/bytes.ts'
import {
  type Action,
  type ActionContext,
  ActionList,
  createAction,
  deleteAction,
  refuseSecondCreate,
  refuseTooMany,
  saveAction,
} from '../../../src/db/actions.ts'
import { readContent, writeContent } from '../../../src/db/fold/well-formed.ts'
import { compileSchema } from '../../../src/db/schema/compile.ts'

const NOTHING = { patch: undefined, document: undefined }

const action = (type: Action['type'], id: string, bytes = 2): Action => {
  const content = type === 'delete' ? NOTHING : { patch: new Uint8Array(bytes), document: {} }
  return { type, id, instanceId: id, collection: 'Note', ...content }
}

describe('a second create of an id in a transaction', () => {
  it.each<[string, Action[]]>([
    ['a create', [action('create', 'n'), action('create', 'n')]],
    ['a save', [action('save', 'n'), action('create', 'n')]],
    [
      'a create, a delete and a save',
      [action('create', 'n'), action('delete', 'n'), action('save', 'n'), action('create', 'n')],
    ],
  ])('is refused after %s', (_title, actions) => {
    expect(() => refuseSecondCreate(actions)).toThrow("cant't create already existent instance")
  })

  it('is allowed after a delete, and in another collection', () => {
    refuseSecondCreate([action('create', 'n'), action('delete', 'n'), action('create', 'n'), action('save', 'n')])
    refuseSecondCreate([action('create', 'n'), { ...action('create', 'n'), collection: 'Other' }])
  })
})

describe('the writes of a transaction', () => {
  it('are at most 10,000', () => {
    refuseTooMany(10_000)
    expect(() => refuseTooMany(10_001)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    const list = new ActionList()
    list.add(Array.from({ length: 9_999 }, (_, i) => action('delete', `n${i}`)))
    expect(() => list.add([action('delete', 'a'), action('delete', 'b')])).toThrow('10001 writes at once')
    list.add([action('delete', 'a')])
    expect(list.all).toHaveLength(10_000)
  })

  it('are at most 4 MiB; what does not fit changes nothing', () => {
    const list = new ActionList()
    list.add([action('create', 'a', 3 * 1024 * 1024)])
    expect(() => list.add([action('save', 'b', 1), action('save', 'c', 1024 * 1024)])).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    )
    expect(list.all.map(({ id }) => id)).toEqual(['a'])
    list.add([action('save', 'b', 1024 * 1024)])
    list.clear()
    list.add([action('save', 'c', 4 * 1024 * 1024)])
    expect(list.all.map(({ id }) => id)).toEqual(['c'])
  })
})

describe('a record written here', () => {
  const members = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4 }))
  const text = members.map((document) => utf8(JSON.stringify({ ...document, _id: 'n' })))

  it('says what others read from its bytes', async () => {
    await fc.assert(
      fc.asyncProperty(text, text, async (first, second) => {
        const stored = async (): Promise<Uint8Array> => first
        const context: ActionContext = {
          collection: 'Note',
          schema: compileSchema('{}'),
          stored: async () => undefined,
          served: stored,
          earlier: () => [],
          newId: () => 'new',
          modified: () => 1e18,
        }
        const actions = [
          await createAction(first, context),
          await saveAction(second, { ...context, stored }),
          deleteAction('n', context),
        ]
        const body = writeContent(actions.map((each, index) => ({ ...each, timestamp: BigInt(index) })))
        expect(readContent(body)).toEqual(readContent(copyBytes(body)))
      }),
    )
  })
})
