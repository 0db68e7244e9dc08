import { expect, test } from 'vitest'
import { utf8 } from '../../../src/core/bytes.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import type { ReadView } from '../../../src/store/ordered-store.ts'
import { RememberingView } from '../../../src/store/remembering-view.ts'

test('a view that remembers reads each row once, and tells what is stored', async () => {
  const store = await openMemoryStore()
  const [a, b, c] = [utf8('a'), utf8('b'), utf8('c')]
  await store.batch(
    [
      { type: 'put', key: a, value: utf8('1') },
      { type: 'put', key: b, value: utf8('2') },
    ],
    { sync: false },
  )
  const asked: string[] = []
  const counting: ReadView = {
    get: async (key) => {
      asked.push(String.fromCharCode(...key))
      return store.get(key)
    },
    getMany: (keys) => Promise.all(keys.map((key) => counting.get(key))),
    entries: (range) => store.entries(range),
  }
  const view = new RememberingView(counting)
  expect(await view.get(a)).toEqual(utf8('1'))
  expect(await view.get(c)).toBeUndefined()
  expect(await view.getMany([c, b, a, b])).toEqual([undefined, utf8('2'), utf8('1'), utf8('2')])
  expect(await view.getMany([a, b])).toEqual([utf8('1'), utf8('2')])
  expect(asked.slice(0, 3)).toEqual(['a', 'c', 'b'])
  expect(new Set(asked).size).toBe(3)
  await store.close()
})
