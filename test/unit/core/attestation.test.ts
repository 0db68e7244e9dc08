import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { attestHead, type HeadStatement, isAttested } from '../../../src/core/attestation.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { LogMaker, random } from '../../support/log-maker.ts'

const [log, other] = [new LogMaker(), new LogMaker()]
log.next(2)
const [first, second] = log.records
if (first === undefined || second === undefined) throw new Error('there are no records')
const statement: HeadStatement = { threadId: newThreadId('raw', random), logId: log.id, counter: 1, head: first.cid }
const signature = attestHead(log.key, statement)

it('an attestation holds for the statement it was made of', () => {
  expect(isAttested(log.key.publicKey, statement, signature)).toBe(true)
})

it.each<[string, Partial<HeadStatement>]>([
  ['thread', { threadId: newThreadId('raw', random) }],
  ['log', { logId: other.id }],
  ['position', { counter: 2 }],
  ['record', { head: second.cid }],
])('an attestation does not hold for another %s', (_, change) => {
  expect(isAttested(log.key.publicKey, { ...statement, ...change }, signature)).toBe(false)
})

it('an attestation of another key, or of none, does not hold', () => {
  expect(isAttested(log.key.publicKey, statement, attestHead(other.key, statement))).toBe(false)
  for (const bytes of [new Uint8Array(0), randomBytes(64)]) {
    expect(isAttested(log.key.publicKey, statement, bytes)).toBe(false)
  }
})
