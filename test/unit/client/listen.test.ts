/** Listeners over a host of this process, whose journal keeps little. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Api, createApi } from '../../../src/api/index.ts'
import { type Client, connect } from '../../../src/client/index.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { localClient } from '../../../src/db/index.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { startProxy, type TcpProxy } from '../../support/tcp-proxy.ts'

const NOTE = {
  name: 'Note',
  schema: { properties: { _id: { type: 'string' }, at: { type: 'number' }, filler: { type: 'string' } } },
} as const
/** Of the journal: about 100 commits. */
const FEED_BYTES = 8 * 1024
const COMMITS = 1_200
/** Of each commit: so many are more than is on its way to a client that does not read. */
const FILLER = 'x'.repeat(16 * 1024)

let host: TestHost
let api: Api
let proxy: TcpProxy
let local: Client
let remote: Client

beforeEach(async () => {
  host = await startHost({ feedBytes: FEED_BYTES, net: { pull: false } })
  const free = { host: '127.0.0.1', port: 0 }
  const { net, databases } = host
  const shared = { clock: systemClock, random: randomBytes, logger: silentLogger }
  api = createApi({ net, databases, ...shared, options: { grpc: free, web: free, stopTimeoutMs: 100 } })
  const { web } = await api.start()
  proxy = await startProxy(web.port)
  local = localClient(databases, { random: randomBytes })
  remote = connect(`http://127.0.0.1:${proxy.port}`)
})
afterEach(async () => {
  await remote.close()
  await proxy[Symbol.asyncDispose]()
  await api.stop()
  await host[Symbol.asyncDispose]()
})

describe('a listener that is too slow for what the host keeps', () => {
  it.each([
    ['embedded', () => local],
    ['over a connection', () => remote],
  ])('is told to read the state: %s', async (_, clientOf) => {
    const db = await local.create({ collections: [NOTE] })
    const notes = db.collection<{ at: number; filler: string }>('Note')
    const updates = await (await clientOf().get(db.id)).collection<{ at: number }>('Note').listen()
    proxy.block()
    for (let at = 0; at < COMMITS; at++) await notes.save({ _id: 'a', at, filler: FILLER })
    proxy.unblock()
    let told = 0
    for await (const update of updates) {
      if (update.kind === 'resync') break
      told++
    }
    expect(told).toBeLessThan(COMMITS)
  })

  it('hears what comes afterwards', async () => {
    const db = await local.create({ collections: [NOTE] })
    const notes = db.collection<{ at: number; filler: string }>('Note')
    const updates = await notes.listen()
    for (let at = 0; at < COMMITS; at++) await notes.save({ _id: 'a', at, filler: '' })
    expect((await updates.next()).value).toEqual({ kind: 'resync' })
    await notes.save({ _id: 'b', at: -1, filler: '' })
    expect((await updates.next()).value).toMatchObject({ kind: 'created', document: { at: -1 } })
    await updates.return?.()
  })
})
