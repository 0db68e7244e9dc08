import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type AnyDocument,
  type Collection,
  connect,
  generateIdentityKey,
  type IdentityKey,
} from '../../../src/client/index.ts'
import { ThreadsError } from '../../../src/core/errors.ts'
import { startApi, type TestApi } from '../../support/api-server.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { fakeNet } from '../../support/fake-net.ts'

let api: TestApi
/** Tokens that the host takes; all it issues, unless they are forgotten. */
let taken: Set<string>
let issued: number

beforeEach(async () => {
  taken = new Set()
  issued = 0
  const good = fakeNet(systemClock)
  const net = fakeNet(systemClock, {
    issueToken(identity) {
      const token = good.issueToken(identity)
      issued++
      taken.add(token)
      return token
    },
    authenticate(token) {
      if (token !== '' && !taken.has(token)) throw new ThreadsError('TOKEN_INVALID', 'invalid thread token')
      return good.authenticate(token)
    },
  })
  api = await startApi({ net })
})
afterEach(() => api[Symbol.asyncDispose]())

const counted = (key: IdentityKey): IdentityKey & { signatures: number } => ({
  identity: key.identity,
  signatures: 0,
  sign(message) {
    this.signatures++
    return key.sign(message)
  },
})

describe('the token of a client', () => {
  it('is got once, when it is needed, however many calls need it', async () => {
    const identity = counted(generateIdentityKey())
    await using client = connect(api.webUrl, { identity })
    expect(issued).toBe(0)
    await Promise.all(Array.from({ length: 10 }, () => client.create()))
    await client.create()
    expect([issued, identity.signatures]).toEqual([1, 1])
    expect(api.databases.lastOptions?.caller).toEqual({ identity: identity.identity })
  })

  const SCHEMA = { properties: { _id: { type: 'string' } } }
  it.each<[string, (collection: Collection<AnyDocument>) => PromiseLike<unknown>]>([
    ['a call', (collection) => collection.has('a')],
    ['a stream', (collection) => collection.find()],
    ['a read transaction', (collection) => collection.readTransaction()],
    ['a write transaction', (collection) => collection.writeTransaction()],
    ['a listener', (collection) => collection.listen()],
  ])('is got again when the host does not take it any more, for %s', async (_, call) => {
    await using client = connect(api.webUrl, { identity: generateIdentityKey() })
    const db = await client.create({ collections: [{ name: 'A', schema: SCHEMA }] })
    taken.clear()
    await call(db.collection('A'))
    expect(issued).toBe(2)
  })

  it('is got again once for many calls', async () => {
    await using client = connect(api.webUrl, { identity: generateIdentityKey() })
    const db = await client.create({ collections: [{ name: 'A', schema: SCHEMA }] })
    taken.clear()
    await Promise.all(Array.from({ length: 10 }, () => db.collection('A').has('a')))
    expect(issued).toBe(2)
  })

  it('is asked for again by the next call if the key does not sign', async () => {
    const key = generateIdentityKey()
    let locked = true
    const sign = async (message: Uint8Array): Promise<Uint8Array> => {
      if (locked) throw new Error('the device is locked')
      return key.sign(message)
    }
    await using client = connect(api.webUrl, { identity: { identity: key.identity, sign } })
    await expect(client.create()).rejects.toThrow('the device is locked')
    locked = false
    await client.create()
  })

  it('is not got with a signature of another key', async () => {
    const other = generateIdentityKey()
    const identity = { identity: generateIdentityKey().identity, sign: (message: Uint8Array) => other.sign(message) }
    await using client = connect(api.webUrl, { identity })
    await expect(client.create()).rejects.toMatchObject({ code: 'BAD_SIGNATURE' })
  })

  it('is not needed by anonymous clients', async () => {
    await using client = connect(api.webUrl)
    await client.create()
    expect([issued, api.databases.lastOptions?.caller]).toEqual([0, {}])
  })

  it('is waited for by others when one of the calls that wait is given up', async () => {
    const key = generateIdentityKey()
    const signing = Promise.withResolvers<void>()
    const sign = async (message: Uint8Array): Promise<Uint8Array> => {
      await signing.promise
      return key.sign(message)
    }
    await using client = connect(api.webUrl, { identity: { identity: key.identity, sign } })
    const giving = new AbortController()
    const first = client.create({ signal: giving.signal })
    const second = client.create()
    giving.abort('enough')
    await expect(first).rejects.toBe('enough')
    signing.resolve()
    await second
    expect(issued).toBe(1)
  })
})
