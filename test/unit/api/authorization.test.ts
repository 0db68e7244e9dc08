import { status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { FairTurns } from '../../../src/api/fair-turns.ts'
import { CallContext } from '../../../src/api/context.ts'
import { dbService } from '../../../src/api/db/index.ts'
import { toRpcError } from '../../../src/api/errors.ts'
import { APIDefinition as DbDefinition } from '../../../src/api/gen/threads.ts'
import { APIDefinition as NetDefinition } from '../../../src/api/gen/threadsnet.ts'
import { netService } from '../../../src/api/net/index.ts'
import type { RpcMethod } from '../../../src/api/service.ts'
import { addressToBytes, peerAddress, threadAddress } from '../../../src/core/address.ts'
import { EMPTY_BYTES } from '../../../src/core/bytes.ts'
import { cidOf } from '../../../src/core/cbor.ts'
import { peerIdToBytes } from '../../../src/core/peer-id.ts'
import { newThreadId, threadIdToBytes } from '../../../src/core/thread-id.ts'
import { callerIdentity, fixedRandom } from '../../support/api-server.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeDatabases } from '../../support/fake-databases.ts'
import { fakeNet } from '../../support/fake-net.ts'

const clock = new FakeClock()
const id = newThreadId('raw', fixedRandom)

function contextOf(header: string | undefined): CallContext {
  const components = { net: fakeNet(clock), databases: new FakeDatabases(), clock, random: fixedRandom }
  return new CallContext(
    components,
    { metadata: () => header, signal: new AbortController().signal, hold: () => {}, connection: {} },
    new FairTurns(1),
  )
}

describe('the authorization header', () => {
  it.each([undefined, '', 'bearer ', 'Bearer '])('%j is anonymous', (header) => {
    expect(contextOf(header).caller).toEqual({})
  })

  it.each(['bearer', 'BEARER', 'Bearer'])('names who calls, the scheme written %s', (scheme) => {
    const token = fakeNet(clock).issueToken(callerIdentity)
    expect(contextOf(`${scheme} ${token}`).caller).toEqual({ identity: callerIdentity })
  })

  it.each([
    ['nonsense', 'Bad authorization string'],
    ['bearer', 'Bad authorization string'],
    ['basic x', 'Request unauthenticated with bearer'],
    [' bearer x', 'Request unauthenticated with bearer'],
  ])('%j is refused', (header, message) => {
    const refused = expect.objectContaining({ code: status.UNAUTHENTICATED, message })
    expect(() => contextOf(header).caller).toThrow(refused)
  })

  it.each([
    ['bearer x', 'thread token not found'],
    ['bearer a.b.c', 'invalid thread token'],
  ])('%j is refused for its token', (header, message) => {
    expect(() => contextOf(header).caller).toThrow(message)
  })
})

const dbID = threadIdToBytes(id)
const logID = peerIdToBytes(fakeNet(clock).hostId)
const recordID = cidOf(EMPTY_BYTES).bytes
const address = addressToBytes(threadAddress(peerAddress(fakeNet(clock).hostId), fakeNet(clock).hostId, id))

/** A good request of every RPC that asks who calls. */
const requests: Record<string, [RpcMethod, Uint8Array]> = {
  ...requestsOf(dbService.methods, DbDefinition.methods, {
    newDB: { dbID },
    newDBFromAddr: { addr: address, key: new Uint8Array(64) },
    getDBInfo: { dbID },
    deleteDB: { dbID },
    newCollection: { dbID, config: {} },
    updateCollection: { dbID, config: {} },
    deleteCollection: { dbID },
    getCollectionInfo: { dbID },
    getCollectionIndexes: { dbID },
    listCollections: { dbID },
    create: { dbID },
    verify: { dbID },
    save: { dbID },
    delete: { dbID },
    patch: { dbID },
    has: { dbID },
    find: { dbID },
    findStream: { dbID },
    findByID: { dbID },
    readTransaction: { option: { $case: 'startTransactionRequest', value: { dbID } } },
    writeTransaction: { option: { $case: 'startTransactionRequest', value: { dbID } } },
    listen: { dbID },
    listRefusals: { dbID },
    listWaitingLogs: { dbID },
    listConflicts: { dbID },
    admitLog: { dbID, logID },
    skipRecord: { dbID, logID, recordID },
    resetClock: { dbID },
    // Asks for each database there is.
    listDBs: undefined,
    getToken: undefined,
  }),
  ...requestsOf(netService.methods, NetDefinition.methods, {
    createThread: { threadID: dbID },
    addThread: { addr: address, keys: { threadKey: new Uint8Array(64) } },
    getThread: { threadID: dbID },
    pullThread: { threadID: dbID },
    deleteThread: { threadID: dbID },
    addReplicator: { threadID: dbID, addr: address },
    createRecord: { threadID: dbID, body: Uint8Array.of(0xa0) },
    addRecord: { threadID: dbID, logID, record: {} },
    getRecord: { threadID: dbID, recordID },
    subscribe: { threadIDs: [dbID] },
    getSyncStatus: {},
    backup: {},
    getToken: undefined,
    getHostID: undefined,
  }),
}

interface Definitions {
  readonly [method: string]: {
    readonly requestType: {
      fromPartial(members: object): unknown
      encode(message: never): { finish(): Uint8Array }
    }
  }
}

function requestsOf<Name extends string>(
  methods: Readonly<Record<Name, RpcMethod>>,
  definitions: Definitions,
  members: Record<Name, object | undefined>,
): Record<string, [RpcMethod, Uint8Array]> {
  const entries = (Object.keys(members) as Name[]).flatMap((name) => {
    const request = members[name]
    const type = definitions[name]?.requestType
    if (request === undefined || type === undefined) return []
    return [
      [`${name} ${methods[name].kind}`, [methods[name], type.encode(type.fromPartial(request) as never).finish()]],
    ]
  })
  return Object.fromEntries(entries)
}

describe('every RPC that asks who calls', () => {
  it.each(Object.entries(requests))('%s refuses a header without a token', async (_name, [method, request]) => {
    await expect(run(method, request, 'nonsense')).rejects.toMatchObject({ code: status.UNAUTHENTICATED })
  })

  it.each(Object.entries(requests))('%s refuses a token that is not good', async (_name, [method, request]) => {
    await expect(run(method, request, 'bearer a.b.c')).rejects.toMatchObject({ message: 'invalid thread token' })
  })
})

async function run(method: RpcMethod, request: Uint8Array, header: string): Promise<void> {
  async function* messages() {
    yield request
  }
  try {
    const context = contextOf(header)
    if (method.kind === 'unary') await method.answer(request, context)
    else await Array.fromAsync(method.call(messages(), context))
  } catch (error) {
    throw toRpcError(error, method.codes)
  }
}
