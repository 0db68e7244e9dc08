/** The client when its daemon goes away, comes back, or has forgotten. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Client, type Collection, connect, generateIdentityKey, type Update } from '../../src/client/index.ts'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts'

interface Counter {
  _id: string
  at: number
}

const COUNTER = {
  name: 'Counter',
  schema: { properties: { _id: { type: 'string' }, at: { type: 'number' } } },
} as const

let daemon: TestDaemon
let proxy: TcpProxy
/** By way of the proxy. */
let client: Client
let counters: Collection<Counter>
/** Directly. */
let writer: Client
let written: Collection<Counter>

beforeEach(async () => {
  daemon = await startDaemon()
  proxy = await startProxy(Number(new URL(daemon.webAddress).port))
  client = connect(`http://127.0.0.1:${proxy.port}`, { identity: generateIdentityKey() })
  writer = connect(daemon.webAddress, { identity: generateIdentityKey() })
  const { id } = await writer.create({ collections: [COUNTER] })
  written = (await writer.get(id)).collection('Counter')
  counters = (await client.get(id)).collection('Counter')
})
afterEach(async () => {
  await client.close()
  await writer.close()
  await proxy[Symbol.asyncDispose]()
  await daemon[Symbol.asyncDispose]()
})

/** Numbers of the updates until one has the last of them; `resync` for that. */
async function until(updates: AsyncIterable<Update<Counter>>, last: number): Promise<(number | string)[]> {
  const seen: (number | string)[] = []
  for await (const update of updates) {
    seen.push(update.kind === 'created' || update.kind === 'saved' ? update.document.at : update.kind)
    if (seen.at(-1) === last) break
  }
  return seen
}

const save = (at: number): Promise<void> => written.save({ _id: 'a', at })
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at)

describe('a listener', () => {
  it('hears every change once and in order over connections that are cut all the time', async () => {
    const seen = until(await counters.listen(), 60)
    for (const at of numbers(1, 60)) {
      await save(at)
      if (at % 7 === 0) proxy.reset()
    }
    expect(await seen).toEqual(numbers(1, 60))
  })

  it('goes on where it was after a daemon was killed and started again', async () => {
    const seen = until(await counters.listen(), 20)
    for (const at of numbers(1, 10)) await save(at)
    await daemon.kill('SIGKILL')
    await daemon.restart()
    for (const at of numbers(11, 20)) await save(at)
    expect(await seen).toEqual(numbers(1, 20))
  })

  it('ends when the client is closed', async () => {
    const seen = until(await counters.listen(), 60)
    await client.close()
    expect(await seen).toEqual([])
    await expect(counters.get('a')).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('a transaction', () => {
  it('writes nothing if its connection is cut, and holds up nobody', async () => {
    await using transaction = await counters.writeTransaction()
    await transaction.create({ _id: 'lost', at: 1 })
    proxy.reset()
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    await save(1)
    expect((await written.find()).map(({ _id }) => _id)).toEqual(['a'])
  })

  it('writes nothing if its client is closed', async () => {
    const transaction = await counters.writeTransaction()
    await transaction.create({ _id: 'lost', at: 1 })
    await client.close()
    await expect(transaction.commit()).rejects.toMatchObject({ code: expect.stringMatching(/CLOSED$/) })
    await save(1)
    expect((await written.find()).map(({ _id }) => _id)).toEqual(['a'])
  })
})

describe('a transaction of a daemon that is short of patience', () => {
  it('is told when its time is up, and writes nothing', async () => {
    await using hasty = await startDaemon({ flags: { transactionIdle: '50ms' } })
    await using own = connect(hasty.webAddress)
    const db = await own.create({ collections: [COUNTER] })
    const transaction = await db.collection<Counter>('Counter').writeTransaction()
    const late = () =>
      transaction.has('a').then(
        () => 'in time',
        (error: unknown) => error,
      )
    const code = 'TRANSACTION_TIMEOUT'
    await expect.poll(late, { interval: 200 }).toMatchObject({ code })
    await db.collection<Counter>('Counter').create({ _id: 'b', at: 1 })
  })
})

describe('a call', () => {
  it('fails while nobody answers and works again afterwards', async () => {
    await save(1)
    await daemon.kill()
    await expect(counters.get('a')).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    await daemon.restart()
    expect((await counters.get('a'))?.at).toBe(1)
  })
})
