import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runDaemon, startDaemon } from '../../support/daemon.ts'
import { tlsFiles, tlsIdentity } from '../../support/tls/identities.ts'

const HEALTH = join(import.meta.dirname, '../../../daemon/health.ts')
const ca = [tlsIdentity('first').cert, tlsIdentity('second').cert]

let directory: string
let files: { tlsCert: string; tlsKey: string }
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'threadsd-'))
  files = { tlsCert: join(directory, 'tls.crt'), tlsKey: join(directory, 'tls.key') }
  use('first')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function use(name: 'first' | 'second'): void {
  copyFileSync(tlsFiles(name).cert, files.tlsCert)
  copyFileSync(tlsFiles(name).key, files.tlsKey)
}

/** Common name of the certificate that a new connection is shown. */
async function shownOn(address: string): Promise<string | string[] | undefined> {
  const port = Number(address.split(':').at(-1))
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca, ALPNProtocols: ['h2', 'http/1.1'] })
  await once(socket, 'secureConnect')
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return CN
}

describe('a daemon with a certificate', () => {
  it('shows it on both ports, and the new one when the files change', async () => {
    await using daemon = await startDaemon({ flags: files })
    for (const address of [daemon.grpcAddress, daemon.webAddress]) expect(await shownOn(address)).toBe('first')
    writeFileSync(files.tlsKey, 'half a k')
    await expect.poll(() => daemon.stderr()).toContain('a changed certificate is not used')
    expect(await shownOn(daemon.grpcAddress)).toBe('first')
    use('second')
    await expect.poll(() => shownOn(daemon.grpcAddress)).toBe('second')
    expect(await shownOn(daemon.webAddress)).toBe('second')
    expect(await daemon.kill()).toMatchObject({ code: 0 })
  })

  it('answers the health check of its container', async () => {
    await using daemon = await startDaemon({ flags: files })
    const apiAddr = `/ip4/127.0.0.1/tcp/${daemon.grpcAddress.split(':')[1]}`
    const env = { THRDS_APIADDR: apiAddr, THRDS_TLSCERT: files.tlsCert, THRDS_TLSKEY: files.tlsKey }
    const [code] = await once(spawn(process.execPath, [HEALTH], { env, stdio: 'inherit' }), 'close')
    expect(code).toBe(0)
  })

  it.each([
    [['-tlsCert=CERT'], /^threadsd: -tlsCert: tlsCert and tlsKey are needed both\. /],
    [['-tlsCert=CERT', '-tlsKey=CERT'], /^threadsd: the certificate \S+ cannot be used with the key \S+: /],
    [['-tlsCert=CERT', '-tlsKey=/none'], /^threadsd: the certificate \S+ cannot be used with the key \/none: ENOENT/],
  ])('does not start with %j', async (args, message) => {
    const given = args.map((arg) => arg.replace('CERT', files.tlsCert))
    const exit = await runDaemon([`-repo=${join(directory, 'data')}`, ...given])
    expect(exit).toMatchObject({ code: 1, stdout: '' })
    expect(exit.stderr).toMatch(message)
  })
})
