/**
 * HTTP/2 sessions that end while they write. Node throws where nobody catches if that goes wrong, and vitest fails then,
 * whatever the test expects.
 */
import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { silentLogger } from '../../../../src/core/logger.ts'
import type { PeerId } from '../../../../src/core/peer-id.ts'
import type { Accept } from '../../../../src/net/host/libp2p-host.ts'
import type { Handlers } from '../../../../src/net/protocol/handlers/handlers.ts'
import { methods } from '../../../../src/net/protocol/methods.ts'
import { servePeers } from '../../../../src/net/protocol/server.ts'
import { PeerSession } from '../../../../src/net/protocol/session.ts'
import { newPeer } from '../../../support/fake-replica.ts'
import { type StreamEnd, streamPair } from '../../../support/stream-pair.ts'

const ENDINGS = 1_000
const AT_ONCE = 50
const REQUEST = randomBytes(100_000)
const PEER = 'peer' as PeerId
const GARBAGE = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(20))
/** GOAWAY with PROTOCOL_ERROR. */
const GOODBYE = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
const RESET = new Error('the stream was reset')

/** What one end can do to the session at the other. */
const deeds: ((end: StreamEnd, session: PeerSession) => void)[] = [
  (end) => end.inject(GARBAGE),
  (end) => end.inject(GOODBYE),
  (end) => end.inject(null),
  (end) => end.destroy(RESET),
  (end) => end.destroy(),
  (end) => {
    end.stalled = true
  },
  (end) => void end.end(),
  (_, session) => session.close(),
  (_, session) => session.destroy(),
]

function serve(reply: number): Accept {
  let accept: Accept | undefined
  const record = { recordNode: randomBytes(reply), eventNode: randomBytes(1), headerNode: randomBytes(1) }
  const refuse = async (): Promise<never> => {
    throw new Error('not called')
  }
  const handlers: Handlers = {
    getLogs: refuse,
    pushLog: refuse,
    pushRecord: refuse,
    exchangeEdges: refuse,
    getRecords: async () => {
      const logs = [{ logId: newPeer().id, records: [{ ...record, bodyNode: randomBytes(1) }], log: undefined }]
      return { logs, unreadable: 0 }
    },
  }
  servePeers({ host: { handle: (_, accepts) => void (accept = accepts) }, handlers, logger: silentLogger })
  if (accept === undefined) throw new Error('nothing is served')
  return accept
}

/** Numbers from 0 up to `below`, the same each time. */
function pseudoRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

it('survives a peer that breaks the protocol before the session is set up', async () => {
  const [ours] = streamPair()
  const session = new PeerSession(ours, PEER)
  ours.inject(GARBAGE)
  await expect.poll(() => session.usable).toBe(false)
  await expect.poll(() => ours.destroyed).toBe(true)
})

it('survives a stream that was gone before the session was made', async () => {
  const [ours] = streamPair()
  ours.destroy()
  await turn()
  const session = new PeerSession(ours, PEER)
  await expect.poll(() => session.usable).toBe(false)
})

it(`survives ${ENDINGS} sessions that end in the middle of large requests and replies`, {
  timeout: 180_000,
}, async () => {
  const random = pseudoRandom(1)
  const accept = serve(150_000)
  for (let count = 0; count < ENDINGS; count += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => endOne(accept, random)))
  }
})

/** Resolves when nothing is left of the session. */
async function endOne(accept: Accept, random: (below: number) => number): Promise<void> {
  const [ours, theirs] = streamPair(() => random(3))
  const closed = [ours, theirs].map((end) => new Promise((resolve) => end.once('close', resolve)))
  accept(theirs, PEER)
  const session = new PeerSession(ours, PEER)
  const { path } = methods.getRecords
  const calls = [REQUEST.subarray(0, 100), REQUEST].map((bytes) =>
    session.call(path, bytes, { timeoutMs: 10_000, maxReplyBytes: 1_000_000 }),
  )
  const outcome = Promise.allSettled(calls)
  for (let turns = random(40); turns > 0; turns--) await turn()
  for (let left = 1 + random(2); left > 0; left--) {
    deeds[random(deeds.length)]?.([ours, theirs][random(2)] ?? ours, session)
    for (let turns = random(10); turns > 0; turns--) await turn()
  }
  ours.destroy()
  theirs.destroy()
  await Promise.all([outcome, ...closed])
  await expect.poll(() => session.usable).toBe(false)
}
