import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:http2'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FOLD_VERSION, FORMAT_VERSION, writeStamp } from '../../../src/store/format.ts'
import { openLevelStore } from '../../../src/store/level-store.ts'
import { freePorts, runDaemon, startDaemon, type TestDaemon } from '../../support/daemon.ts'

describe('a running daemon', () => {
  let daemon: TestDaemon
  beforeAll(async () => {
    daemon = await startDaemon()
  })
  afterAll(() => daemon[Symbol.asyncDispose]())

  it('prints the banner of go-threads, and nothing else', () => {
    expect(daemon.stdout()).toMatch(/^Welcome to Threads!\nYour peer ID is 12D3KooW\w{44}\n$/)
    expect(daemon.stderr()).toBe('')
  })

  it('answers the health check of its container, which fails once nobody listens', async () => {
    expect(await checkHealth(`/ip4/127.0.0.1/tcp/${daemon.grpcAddress.split(':')[1]}`)).toBe(0)
    const [port] = await freePorts(1)
    expect(await checkHealth(`/ip4/127.0.0.1/tcp/${port}`)).toBe(1)
  })

  it('keeps its repository to itself', async () => {
    const exit = await runDaemon([`-repo=${daemon.repo}`, ...(await freeAddresses())])
    expect(exit).toMatchObject({ code: 1, stdout: '' })
    expect(exit.stderr).toMatch(/^threadsd: the repository \S+ is in use by another process.*\n$/)
  })

  it.each(['hostAddr', 'apiAddr', 'apiProxyAddr'])('names the address when the port of %s is taken', async (flag) => {
    await using repo = await directory()
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = taken.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const args = [`-repo=${repo.path}`, ...(await freeAddresses()), `-${flag}=/ip4/127.0.0.1/tcp/${port}`]
    const exit = await runDaemon(args)
    taken.close()
    expect(exit).toMatchObject({ code: 1, stdout: '' })
    expect(exit.stderr).toMatch(new RegExp(`^threadsd: .*${port}.*in use.*\\n$`))
  })

  it('is the same host after a stop and after a crash', async () => {
    const { peerId } = daemon
    expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0, stderr: '' })
    await daemon.restart()
    await daemon.kill('SIGKILL')
    await daemon.restart()
    expect(daemon.peerId).toBe(peerId)
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('stops in order on %s and says so', async (signal) => {
    const exit = await daemon.kill(signal)
    expect(exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(exit.stdout).toContain('Gracefully stopping... (press Ctrl+C again to force)\n')
    await daemon.restart()
  })

  it('waits for open calls, unless it is told a second time to stop', async () => {
    const client = connect(`http://${daemon.grpcAddress}`)
    client.on('error', () => {})
    const call = client.request({ ':method': 'POST', ':path': '/threads.pb.API/GetToken', te: 'trailers' })
    call.on('error', () => {})
    // The answer to a ping comes after the call has arrived.
    await new Promise((resolve) => client.ping(resolve))
    const exit = daemon.kill('SIGTERM')
    await until(() => daemon.stdout().includes('Gracefully stopping'))
    await daemon.kill('SIGTERM')
    expect(await exit).toMatchObject({ code: 1, stderr: '' })
    client.destroy()
    await daemon.restart()
  })

  it('ends with 70 at a fault that nobody caught, and logs it', async () => {
    const fault = encodeURIComponent(`process.on('SIGUSR2', () => void Promise.reject(new Error('a fault')))`)
    await using broken = await startDaemon({ env: { NODE_OPTIONS: `--import=data:text/javascript,${fault}` } })
    const exit = await broken.kill('SIGUSR2')
    expect(exit.code).toBe(70)
    expect(JSON.parse(exit.stderr)).toMatchObject({ level: 50, error: { message: 'a fault' } })
  })
})

describe('a daemon that cannot start', () => {
  it('names the flag and the value, in one line', async () => {
    const exit = await runDaemon(['-netPullingLimit=many'])
    expect(exit).toMatchObject({ code: 1, stdout: '' })
    expect(exit.stderr).toMatch(/^threadsd: -netPullingLimit: "many" is not a whole number .*\n$/)
  })

  it('names a repository that cannot be written', async () => {
    await using repo = await directory()
    const file = join(repo.path, 'file')
    await writeFile(file, '')
    const exit = await runDaemon([`-repo=${join(file, 'data')}`, ...(await freeAddresses())])
    expect(exit).toMatchObject({ code: 1, stdout: '' })
    expect(exit.stderr).toMatch(/^threadsd: the repository \S+\/file\/data cannot be written: .*\n$/)
  })

  it('names a log file that cannot be written', async () => {
    const exit = await runDaemon(['-logFile=/nowhere/at/all.log'])
    expect(exit).toMatchObject({ code: 1, stdout: '' })
    expect(exit.stderr).toMatch(/^threadsd: .*\/nowhere\/at\/all\.log.*\n$/)
  })

  it('keeps its hands off a key file that is damaged', async () => {
    await using repo = await directory()
    await writeFile(join(repo.path, 'key'), 'garbage')
    const exit = await runDaemon([`-repo=${repo.path}`, ...(await freeAddresses())])
    expect(exit).toMatchObject({ code: 1, stdout: '' })
    expect(exit.stderr).toMatch(/^threadsd: \S+\/key is not a private key.*\n$/)
  })

  it('leaves a repository alone that a newer version wrote', async () => {
    await using repo = await directory()
    const store = await openLevelStore({ location: join(repo.path, 'store') })
    const newer = { format: FORMAT_VERSION + 1, fold: FOLD_VERSION, id: new Uint8Array(16), cleanlyClosed: true }
    await writeStamp(store, newer)
    await store.close()
    const exit = await runDaemon([`-repo=${repo.path}`, ...(await freeAddresses())])
    expect(exit).toMatchObject({ code: 1, stdout: '' })
    expect(exit.stderr).toMatch(/^threadsd: the repository \S+ was written by a newer version .*\n$/)
  })

  it('answers -help on stdout and with success', async () => {
    const exit = await runDaemon(['-help'])
    expect(exit).toMatchObject({ code: 0, stderr: '' })
    expect(exit.stdout).toContain('Usage: threadsd')
  })
})

async function directory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'threadsd-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

async function freeAddresses(): Promise<string[]> {
  const ports = await freePorts(3)
  return ['hostAddr', 'apiAddr', 'apiProxyAddr'].map((flag, at) => `-${flag}=/ip4/127.0.0.1/tcp/${ports[at]}`)
}

async function checkHealth(apiAddr: string): Promise<number | null> {
  const script = join(import.meta.dirname, '../../../daemon/health.ts')
  const child = spawn(process.execPath, [script], { env: { THRDS_APIADDR: apiAddr }, stdio: 'inherit' })
  const [code]: (number | null)[] = await once(child, 'close')
  return code ?? null
}
