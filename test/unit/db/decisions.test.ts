import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { cidOf } from '../../../src/core/cbor.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { peerIdOf } from '../../../src/core/peer-id.ts'
import { isSkipped, withSkipped } from '../../../src/db/decisions.ts'

it('a record is skipped, and not another at its place, as forks have them, with whatever event', () => {
  const logId = peerIdOf(generateKey(randomBytes).publicKey)
  const [one, other] = [1, 2].map((byte) => ({ logId, counter: 3, cid: cidOf(Uint8Array.of(byte)) }))
  if (one === undefined || other === undefined) throw new Error('there are two')
  const decisions = withSkipped(undefined, one)
  expect(isSkipped(decisions, one)).toBe(true)
  expect(isSkipped(decisions, other)).toBe(false)
  expect(isSkipped(decisions, { ...one, counter: 4 })).toBe(false)
})
