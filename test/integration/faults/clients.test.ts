/** What clients meet at a daemon of go-threads. Titles begin with the number of the fault in docs/compatibility.md. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { APIDefinition, type CollectionConfig } from '../../../src/api/gen/threads.ts'
import { newThreadId, threadIdToBytes } from '../../../src/core/thread-id.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { startDaemon, type TestDaemon } from '../../support/daemon.ts'
import { grpcTransport, RpcFailure, ServiceClient, type Transport } from '../../support/grpc-client.ts'
import { webSocketTransport } from '../../support/web-client.ts'
import { bytesOf, NOTE, noteOf } from '../../support/notes.ts'

const { methods } = APIDefinition
const ABANDONED = 30

const config: CollectionConfig = {
  name: NOTE.name,
  schema: Buffer.from(NOTE.schema),
  indexes: [],
  writeValidator: '',
  readFilter: '',
}

let daemon: TestDaemon
let transport: Transport
let client: ServiceClient

beforeAll(async () => {
  daemon = await startDaemon()
  transport = grpcTransport(daemon.grpcAddress)
  client = new ServiceClient(transport, APIDefinition)
})

afterAll(async () => {
  transport[Symbol.dispose]()
  await daemon[Symbol.asyncDispose]()
})

async function token(): Promise<string> {
  const key = generateKey(randomBytes)
  const call = client.open(methods.getToken)
  call.send({ payload: { $case: 'key', value: identityOf(key.publicKey) } })
  const challenge = await call.receive()
  if (challenge?.payload?.$case !== 'challenge') throw new RpcFailure(await call.call.status)
  call.send({ payload: { $case: 'signature', value: key.sign(challenge.payload.value) } })
  const reply = await call.receive()
  await call.end()
  return reply?.payload?.$case === 'token' ? reply.payload.value : ''
}

async function newNotes(metadata: [string, string][] = []): Promise<Uint8Array> {
  const dbID = threadIdToBytes(newThreadId('raw', randomBytes))
  await client.unary(methods.newDB, { dbID, collections: [config] }, { metadata })
  return dbID
}

describe('a write transaction', () => {
  it('8.1-16: over a websocket that closes without a half-close is never committed', async () => {
    const dbID = await newNotes()
    using sockets = webSocketTransport(daemon.webAddress)
    const web = new ServiceClient(sockets, APIDefinition)
    for (let count = 0; count < ABANDONED; count++) {
      const call = web.open(methods.writeTransaction)
      call.send({ option: { $case: 'startTransactionRequest', value: { dbID, collectionName: 'Note' } } })
      const instances = [bytesOf({ _id: `abandoned-${count}` })]
      call.send({ option: { $case: 'createRequest', value: { dbID, collectionName: 'Note', instances } } })
      await call.receive()
      call.call.cancel()
    }
    // It takes the write lock after all of them.
    await client.unary(methods.create, { dbID, collectionName: 'Note', instances: [bytesOf({ _id: 'last' })] })
    const queryJSON = Buffer.from('{}')
    const { instances } = await client.unary(methods.find, { dbID, collectionName: 'Note', queryJSON })
    expect(instances.map((bytes) => noteOf(bytes)._id)).toEqual(['last'])
  })
})

describe('a Go client', () => {
  it('8.3-22: manages collections without the token that it drops', async () => {
    const dbID = await newNotes([['authorization', `bearer ${await token()}`]])
    const other = { ...config, name: 'Other' }
    await client.unary(methods.newCollection, { dbID, config: other })
    await client.unary(methods.updateCollection, { dbID, config: { ...other, readFilter: 'return instance' } })
    const info = await client.unary(methods.getCollectionInfo, { dbID, name: 'Other' })
    expect(info.readFilter).toBe('return instance')
    expect(await client.unary(methods.getCollectionIndexes, { dbID, name: 'Other' })).toEqual({ indexes: [] })
    expect((await client.unary(methods.listCollections, { dbID })).collections).toHaveLength(2)
    await client.unary(methods.deleteCollection, { dbID, name: 'Other' })
  })
})
