import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap } from '../../../../src/db/fold/heap.ts'

test('a heap gives its items from the lowest to the highest, however they were put in', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = new Heap<number>((a, b) => a - b)
      for (const number of numbers) heap.push(number)
      const popped = numbers.map(() => heap.pop())
      expect(popped).toEqual(numbers.toSorted((a, b) => a - b))
      expect(heap.pop()).toBeUndefined()
      expect(heap.peek()).toBeUndefined()
    }),
  )
})
