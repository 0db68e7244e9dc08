import { expect, it } from 'vitest'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'
import { ThreadsError } from '../../../../src/core/errors.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import type { PeerClient } from '../../../../src/net/protocol/client.ts'
import { PeerBook } from '../../../../src/net/replication/peer-book.ts'
import { addLogs, type PullComponents } from '../../../../src/net/replication/record-pull.ts'
import type { PeerLog } from '../../../../src/net/replica.ts'

const clock = new FakeClock()
const client: PeerClient = { call: () => Promise.reject(new Error('not called')), close: () => {} }

/** A replica with room for so many logs. */
function replicaFor(maxLogs: number): { replica: FakeReplica; attempts: () => number } {
  let attempts = 0
  const replica = new (class extends FakeReplica {
    override async addLogs(...[threadId, logs]: Parameters<FakeReplica['addLogs']>): Promise<void> {
      attempts++
      if (this.logs(threadId).length + logs.length > maxLogs) throw new ThreadsError('TOO_LARGE', 'no more logs')
      for (const { id, publicKey } of logs) {
        if (publicKey === undefined) throw new ThreadsError('INVALID_KEY', `no key of ${id}`)
      }
      await super.addLogs(threadId, logs)
    }
  })()
  return { replica, attempts: () => attempts }
}

function componentsOf(replica: FakeReplica): PullComponents {
  const book = new PeerBook({ clock, random: (length) => new Uint8Array(length), onReached: () => {} })
  return { replica, client, book, clock, logger: silentLogger, signal: new AbortController().signal }
}

function newLogs(count: number): PeerLog[] {
  return Array.from({ length: count }, () => {
    const { id, key } = newPeer()
    return { id, publicKey: key.publicKey, addresses: [], head: undefined, counter: 0 }
  })
}

it('a flood of logs is taken as far as there is room, and not tried log by log after that', async () => {
  const { replica, attempts } = replicaFor(500)
  const threadId = replica.addThread()
  await addLogs(componentsOf(replica), { peer: newPeer().id, threadId }, newLogs(1_000))
  expect(replica.logs(threadId)).toHaveLength(500)
  expect(attempts()).toBeLessThan(20)
})

it('a bad log among many keeps none of the others out', async () => {
  const { replica, attempts } = replicaFor(5_000)
  const threadId = replica.addThread()
  const logs = newLogs(1_000)
  logs[700] = { ...(logs[700] as PeerLog), publicKey: undefined }
  await addLogs(componentsOf(replica), { peer: newPeer().id, threadId }, logs)
  expect(replica.logs(threadId)).toHaveLength(999)
  expect(attempts()).toBeLessThan(30)
})
