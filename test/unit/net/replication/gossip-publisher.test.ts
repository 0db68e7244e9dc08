import { describe, expect, it } from 'vitest'
import { ThreadsError } from '../../../../src/core/errors.ts'
import { type Logger, silentLogger } from '../../../../src/core/logger.ts'
import type { LogId } from '../../../../src/core/peer-id.ts'
import type { ThreadId } from '../../../../src/core/thread-id.ts'
import type { Pubsub } from '../../../../src/net/host/pubsub.ts'
import { pushRecordRequest } from '../../../../src/net/protocol/messages.ts'
import { GossipPublisher } from '../../../../src/net/replication/gossip-publisher.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'

interface Published {
  readonly topic: string
  readonly logId: LogId
  readonly counter: number
}

interface World {
  readonly replica: FakeReplica
  readonly publisher: GossipPublisher
  readonly published: Published[]
  readonly errors: string[]
  readonly abort: AbortController
  readonly threadId: ThreadId
  readonly logId: LogId
  write(logId?: LogId): void
}

/** A publisher over a topic that keeps what it gets. `onPublish` runs before each message is there. */
function world(onPublish: (world: World) => void | Promise<void> = () => {}, audience = [newPeer().id]): World {
  const replica = new FakeReplica()
  const threadId = replica.addThread()
  const logId = replica.addOwnLog(threadId)
  const published: Published[] = []
  const errors: string[] = []
  const abort = new AbortController()
  const pubsub: Pubsub = {
    join: () => {},
    leave: () => {},
    subscribers: () => audience,
    async publish(topic, data) {
      await onPublish(made)
      const request = pushRecordRequest.decode(data)
      published.push({ topic, logId: request.logId, counter: request.counter })
    },
  }
  const logger: Logger = { ...silentLogger, error: (_, message) => void errors.push(message) }
  const publisher = new GossipPublisher({ replica, pubsub, logger, signal: abort.signal })
  const write = (log = logId): void => publisher.localRecord(threadId, log, replica.append(threadId, log))
  const made: World = { replica, publisher, published, errors, abort, threadId, logId, write }
  return made
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

describe('records written here', () => {
  it('are published in order, also those written meanwhile', async () => {
    const made = world(({ published, write }) => {
      if (published.length < 60) write()
    })
    for (let count = 0; count < 40; count++) made.write()
    await made.publisher.settled()
    expect(made.published.map(({ counter }) => counter)).toEqual(upTo(100))
    expect(made.publisher.status()).toEqual({ published: 100, tooLarge: 0 })
  })

  it('let other logs have their turn', async () => {
    const made = world()
    const other = made.replica.addOwnLog(made.threadId)
    for (let count = 0; count < 50; count++) made.write()
    made.write(other)
    await made.publisher.settled()
    expect(made.published.findIndex(({ logId }) => logId === other)).toBeLessThan(20)
    expect(made.published).toHaveLength(51)
  })

  it('are left out when a thousand newer ones wait', async () => {
    const made = world()
    for (let count = 0; count < 3000; count++) made.replica.append(made.threadId, made.logId)
    for (let counter = 1; counter <= 3000; counter++) made.publisher.localRecord(made.threadId, made.logId, counter)
    await made.publisher.settled()
    expect(made.published.at(-1)?.counter).toBe(3000)
    expect(made.published.length).toBeLessThanOrEqual(1016)
  })

  it('are not read when nobody listens', async () => {
    const made = world(undefined, [])
    made.replica.recordsAfter = () => Promise.reject(new Error('not to be read'))
    made.write()
    await made.publisher.settled()
    expect([made.published, made.errors]).toEqual([[], []])
  })

  it('are counted when they are too large, and keep none of the others back', async () => {
    const made = world(({ published }) => {
      if (published.length === 1) {
        published.push({ topic: 'too large', logId: made.logId, counter: 2 })
        throw new ThreadsError('TOO_LARGE', 'a message is too large')
      }
    })
    for (let count = 0; count < 3; count++) made.write()
    await made.publisher.settled()
    expect(made.published.map(({ counter }) => counter)).toEqual([1, 2, 3])
    expect(made.publisher.status()).toEqual({ published: 2, tooLarge: 1 })
  })

  it('are published after a failure, which is logged', async () => {
    let failures = 1
    const made = world(() => {
      if (failures-- > 0) throw new Error('the network is down')
    })
    made.write()
    await made.publisher.settled()
    made.write()
    await made.publisher.settled()
    expect(made.published.map(({ counter }) => counter)).toEqual([2])
    expect(made.errors).toEqual(['could not publish records'])
  })

  it('of a thread that is gone are no error', async () => {
    const made = world()
    made.replica.removeThread(made.threadId)
    made.publisher.localRecord(made.threadId, made.logId, 1)
    await made.publisher.settled()
    expect([made.published, made.errors]).toEqual([[], []])
  })

  it('are not published any more when the host stops', async () => {
    const made = world(({ abort }) => abort.abort())
    for (let count = 0; count < 40; count++) made.write()
    await made.publisher.settled()
    expect(made.published.length).toBeLessThanOrEqual(16)
  })
})
