import { status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { identityOf } from '../../../src/core/identity.ts'
import { keyFromSeed } from '../../../src/core/keys.ts'
import { callerIdentity, startApi, type TestApi, TRANSPORTS } from '../../support/api-server.ts'
import type { OpenOptions } from '../../support/grpc-client.ts'

const stranger = identityOf(keyFromSeed(new Uint8Array(32).fill(1)).publicKey)

let api: TestApi
beforeEach(async () => {
  api = await startApi({ allowIdentities: [callerIdentity] })
})
afterEach(() => api[Symbol.asyncDispose]())

const bearing = (token: string): OpenOptions => ({ metadata: [['authorization', `bearer ${token}`]] })

describe.each(TRANSPORTS)('an API for some identities, over $name', ({ connect, streams }) => {
  async function codeOf(path: string, options: OpenOptions = {}): Promise<[number, string | undefined]> {
    using transport = connect(api)
    const call = transport.open(path, options)
    call.send(new Uint8Array(0))
    call.halfClose()
    const { code, trailers } = await call.status
    return [code, trailers['threads-error-code']]
  }
  const LIST = '/threads.pb.API/ListDBs'
  const PEER = '/threads.net.pb.API/GetHostID'

  it('answers them', async () => {
    for (const path of [LIST, PEER]) {
      expect(await codeOf(path, bearing(api.net.issueToken(callerIdentity)))).toEqual([status.OK, undefined])
    }
  })

  it('answers the host itself', async () => {
    expect(await codeOf(LIST, bearing(api.net.issueToken(api.net.identity)))).toEqual([status.OK, undefined])
  })

  it('refuses all others, whatever they call', async () => {
    for (const path of [LIST, PEER, '/threads.pb.API/Find']) {
      expect(await codeOf(path)).toEqual([status.UNAUTHENTICATED, 'TOKEN_REQUIRED'])
      const refused = await codeOf(path, bearing(api.net.issueToken(stranger)))
      expect(refused).toEqual([status.PERMISSION_DENIED, 'CALLER_DENIED'])
      expect(await codeOf(path, bearing('x'))).toEqual([status.UNKNOWN, 'TOKEN_INVALID'])
    }
    if (!streams) return
    for (const path of ['/threads.pb.API/WriteTransaction', '/threads.net.pb.API/Subscribe']) {
      expect(await codeOf(path)).toEqual([status.UNAUTHENTICATED, 'TOKEN_REQUIRED'])
    }
  })

  it('tells anybody how it is, and gives tokens', async () => {
    expect(await codeOf('/grpc.health.v1.Health/Check')).toEqual([status.OK, undefined])
    if (streams) expect((await codeOf('/threads.pb.API/GetToken'))[0]).toBe(status.INVALID_ARGUMENT)
  })
})
