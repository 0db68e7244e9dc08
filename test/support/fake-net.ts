import type { Caller } from '../../src/core/caller.ts'
import type { Clock } from '../../src/core/clock.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { type Identity, identityOf } from '../../src/core/identity.ts'
import { keyFromSeed } from '../../src/core/keys.ts'
import { peerIdOf } from '../../src/core/peer-id.ts'
import { issueToken, verifyToken } from '../../src/core/token.ts'
import type { Net, ThreadInfo } from '../../src/net/index.ts'

const hostKey = keyFromSeed(new Uint8Array(32).fill(7))

const notFaked = (): never => {
  throw new Error('not faked')
}

/** A net that checks tokens and knows the threads it is given. What else a test needs it passes in. */
export function fakeNet(
  clock: Clock,
  { threads = [], ...methods }: Partial<Net> & { threads?: ThreadInfo[] } = {},
): Net {
  const nowSeconds = () => Math.floor(clock.nowMs() / 1000)
  const find = (id: string): ThreadInfo => {
    const thread = threads.find((each) => each.id === id)
    if (thread === undefined) throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
    return thread
  }
  return {
    hostId: peerIdOf(hostKey.publicKey),
    identity: identityOf(hostKey.publicKey),
    issueToken: (identity: Identity) => issueToken(hostKey, identity, nowSeconds()),
    authenticate(token: string): Caller {
      const identity = verifyToken(hostKey.publicKey, token, nowSeconds())
      return identity === undefined ? {} : { identity }
    },
    getThread: async (id) => find(id),
    pullThread: async (id) => void find(id),
    deleteThread: async (id) => void find(id),
    addReplicator: async (id) => (find(id), notFaked()),
    createRecord: async (id) => (find(id), notFaked()),
    addRecord: async (id) => (find(id), notFaked()),
    getRecord: async (id) => (find(id), notFaked()),
    createThread: notFaked,
    addThread: notFaked,
    subscribe: notFaked,
    listThreads: () => threads.map(({ id }) => id),
    ownedThreads: () => [],
    attach: notFaked,
    hostAddresses: () => [],
    connect: notFaked,
    syncStatus: () => [],
    forkedLogs: () => [],
    gossipStatus: () => undefined,
    backup: notFaked,
    start: async () => {},
    stop: async () => {},
    ...methods,
    get journal(): never {
      return notFaked()
    },
  }
}
