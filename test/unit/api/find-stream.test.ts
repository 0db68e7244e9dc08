import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { APIDefinition } from '../../../src/api/gen/threads.ts'
import { dbService } from '../../../src/api/db/index.ts'
import type { RpcContext } from '../../../src/api/service.ts'
import { utf8 } from '../../../src/core/bytes.ts'
import { newThreadId, threadIdToBytes } from '../../../src/core/thread-id.ts'
import { fixedRandom } from '../../support/api-server.ts'
import { FakeDatabases } from '../../support/fake-databases.ts'

const rpc = APIDefinition.methods.findStream
const id = newThreadId('raw', fixedRandom)

let databases: FakeDatabases
/** What the call has counted, in bytes, after each reply. */
let held: number

beforeEach(async () => {
  databases = new FakeDatabases()
  held = 0
  await databases.create(id, { collections: [{ name: 'A', schema: '{}' }] })
})
afterEach(() => databases.close())

/** Sizes of the documents in each reply, and what is held when it was asked for. */
async function replies(sizes: readonly number[]): Promise<{ sizes: number[]; held: number }[]> {
  const collection = (await databases.get(id)).collection('A')
  await collection.create(sizes.map((size, at) => documentOf(size, at)))
  const context: Partial<RpcContext> = {
    databases,
    signal: new AbortController().signal,
    caller: {},
    hold: (bytes) => void (held += bytes),
    inTurn: (task) => task(),
  }
  const request = rpc.requestType
    .encode(rpc.requestType.fromPartial({ dbID: threadIdToBytes(id), collectionName: 'A', queryJSON: utf8('{}') }))
    .finish()
  async function* requests(): AsyncGenerator<Uint8Array> {
    yield request
  }
  const method = dbService.methods.findStream
  if (method.kind === 'unary') throw new Error('not a stream')
  const seen: { sizes: number[]; held: number }[] = []
  held = 0
  for await (const reply of method.call(requests(), context as RpcContext)) {
    const { instances } = rpc.responseType.decode(reply)
    seen.push({ sizes: instances.map(({ length }) => length), held })
  }
  return seen
}

/** A document of this size. */
function documentOf(size: number, at: number): Uint8Array {
  const empty = JSON.stringify({ _id: String(at).padStart(4, '0'), x: '' }).length
  return utf8(JSON.stringify({ _id: String(at).padStart(4, '0'), x: 'x'.repeat(size - empty) }))
}

describe('a stream of results', () => {
  it('is of replies that are not large, in order, each counted until it is taken', async () => {
    const KIB = 1024
    const seen = await replies([100 * KIB, 156 * KIB, 1 * KIB, 300 * KIB, 10 * KIB, 10 * KIB])
    expect(seen.map(({ sizes }) => sizes.map((size) => size / KIB))).toEqual([[100, 156], [1], [300], [10, 10]])
    // The request counts too, a little.
    expect(seen.map((reply) => Math.floor(reply.held / KIB))).toEqual([577, 321, 320, 20])
    expect(held).toBeLessThan(KIB)
  })

  it('has no reply if there is no result', async () => {
    expect(await replies([])).toEqual([])
  })
})
