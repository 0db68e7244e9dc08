import { status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { RpcError } from '../../../src/api/errors.ts'
import { createRouter, type Router } from '../../../src/api/router.ts'
import type { StreamMethod } from '../../../src/api/service.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { fixedRandom } from '../../support/api-server.ts'
import { FakeDatabases } from '../../support/fake-databases.ts'
import { fakeNet } from '../../support/fake-net.ts'

const path = '/test.Service/Echo'
const late = new RpcError(status.DEADLINE_EXCEEDED, 'context deadline exceeded')

function routerOf(call: StreamMethod['call']): Router {
  const method: StreamMethod = { name: 'Echo', kind: 'bidi', codes: {}, call }
  const components = { net: fakeNet(systemClock), databases: new FakeDatabases(), clock: systemClock }
  return createRouter([{ name: 'test.Service', methods: { echo: method } }], {
    ...components,
    random: fixedRandom,
    logger: silentLogger,
  })
}

describe('a call that is aborted', () => {
  it('ends the requests of its handler, though its transport goes on waiting for some', async () => {
    const told = Promise.withResolvers<unknown>()
    const halfClosed = Promise.withResolvers<void>()
    const abort = new AbortController()
    const router = routerOf(async function* (requests) {
      try {
        for await (const request of requests) yield request
        told.resolve('half-closed')
      } catch (error) {
        told.resolve(error)
      }
    })
    async function* stubborn(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(1)
      abort.abort(late)
      await halfClosed.promise
    }
    const served = router.serve({
      path,
      metadata: () => undefined,
      signal: abort.signal,
      hold: () => {},
      connection: {},
      requests: stubborn(),
      send: async () => {},
    })
    expect(await served).toBe(late)
    halfClosed.resolve()
    expect(await told.promise).toBe(late)
  })

  it('lets its handler clean up, though the reply it gave is never taken', async () => {
    const cleaned = Promise.withResolvers<void>()
    const abort = new AbortController()
    const router = routerOf(async function* () {
      try {
        yield Uint8Array.of(1)
      } finally {
        cleaned.resolve()
      }
    })
    const served = router.serve({
      path,
      metadata: () => undefined,
      signal: abort.signal,
      hold: () => {},
      connection: {},
      requests: (async function* () {})(),
      send: () => {
        abort.abort(late)
        return new Promise(() => {})
      },
    })
    expect(await served).toBe(late)
    await cleaned.promise
  })
})
