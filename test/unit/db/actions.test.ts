import { describe, expect, it } from 'vitest'
import { type Action, ActionList, refuseSecondCreate, refuseTooMany } from '../../../src/db/actions.ts'

const action = (type: Action['type'], id: string, bytes = 2): Action => {
  return { type, id, instanceId: id, collection: 'Note', patch: type === 'delete' ? undefined : new Uint8Array(bytes) }
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
