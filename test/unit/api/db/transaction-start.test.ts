import { expect, it } from 'vitest'
import { CallContext } from '../../../../src/api/context.ts'
import { readTransaction } from '../../../../src/api/db/read-transaction.ts'
import { writeTransaction } from '../../../../src/api/db/write-transaction.ts'
import { FairTurns } from '../../../../src/api/fair-turns.ts'
import { fixedRandom } from '../../../support/api-server.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeDatabases } from '../../../support/fake-databases.ts'
import { fakeNet } from '../../../support/fake-net.ts'

it.each([
  ['that reads', readTransaction],
  ['that writes', writeTransaction],
])('a transaction %s ends if its start does not come while it may be idle', async (_name, transaction) => {
  const clock = new FakeClock()
  const databases = new FakeDatabases()
  const context = new CallContext(
    { net: fakeNet(clock), databases, clock, random: fixedRandom },
    { metadata: () => undefined, signal: new AbortController().signal, hold: () => {}, connection: {} },
    new FairTurns(1),
  )
  const silent: AsyncIterable<never> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }
  const replies = transaction(silent, context)
  const ended = expect(replies.next()).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
  expect(clock.pendingTimers).toBe(1)
  clock.advance(databases.transactionIdleMs)
  await ended
  expect(clock.pendingTimers).toBe(0)
})
