import { describe, expect, it } from 'vitest'
import { decodeToken, encodeToken } from '../../../src/db/resume-token.ts'

const STATE = { store: new Uint8Array(16).fill(1), thread: 2, generation: 3 }
const PLACE = { seq: 2 ** 40 + 5, changes: 7 }

describe('a resume token', () => {
  it('says how far the host has told', () => {
    expect(decodeToken(encodeToken(STATE, PLACE), STATE)).toEqual(PLACE)
  })

  it.each([
    ['another store', { ...STATE, store: new Uint8Array(16).fill(9) }],
    ['another thread', { ...STATE, thread: 9 }],
    ['documents that were made anew', { ...STATE, generation: 9 }],
  ])('is not good for %s', (_, state) => {
    const lost = expect.objectContaining({ code: 'UPDATES_LOST' })
    expect(() => decodeToken(encodeToken(STATE, PLACE), state)).toThrow(lost)
  })
})
