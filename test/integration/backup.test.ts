/** `threadsd backup` and `threadsd restore` on daemons that serve, are killed, and go on elsewhere. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFile, cp, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { Client } from '../../examples/demo/client.ts'
import { readManifest } from '../../daemon/backup/manifest.ts'
import { identityOf } from '../../src/core/identity.ts'
import { generateKey } from '../../src/core/keys.ts'
import { APIDefinition } from '../../src/api/gen/threadsnet.ts'
import { decodeInstance, readInstanceKey } from '../../src/db/rows.ts'
import { rowRange } from '../../src/store/key-codec.ts'
import { openLevelStore } from '../../src/store/level-store.ts'
import { startDaemon, runDaemon, type TestDaemon, type Exit } from '../support/daemon.ts'
import { grpcTransport, ServiceClient } from '../support/grpc-client.ts'
import { tlsFiles } from '../support/tls/identities.ts'

const MAIN = join(import.meta.dirname, '../../daemon/main.ts')
const ITEMS = { name: 'Item', schema: { properties: { _id: { type: 'string' } } } }
const PADDING = 'x'.repeat(100_000)
const SOON = { timeout: 30_000, interval: 100 }

let root: string
let backups: string
let daemon: TestDaemon
let peer: TestDaemon
let client: Client
let ofPeer: Client
const dbID = Buffer.concat([Uint8Array.of(0x01, 0x55), randomBytes(32)])
/** Ids of documents whose writes were answered. */
const acknowledged: string[] = []

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'threads-backups-'))
  backups = join(root, 'backups')
  daemon = await startDaemon()
  peer = await startDaemon()
  client = new Client(daemon.grpcAddress)
  ofPeer = new Client(peer.grpcAddress)
  await client.newDb(dbID, 'backed-up', [ITEMS])
  const { addrs, key } = await client.info(dbID)
  await ofPeer.joinDb(addrs[0] ?? new Uint8Array(), key, [ITEMS])
  await ofPeer.create(dbID, 'Item', [{ _id: 'of the peer' }])
  acknowledged.push('of the peer')
  await vi.waitFor(async () => expect(await idsOf(client)).toEqual(['of the peer']), SOON)
}, 60_000)

afterAll(async () => {
  client.close()
  ofPeer.close()
  await daemon[Symbol.asyncDispose]()
  await peer[Symbol.asyncDispose]()
  await rm(root, { recursive: true, force: true })
})

async function idsOf(of: Client): Promise<string[]> {
  const ids = (await of.find(dbID, 'Item', {})).map((text) => (JSON.parse(text) as { _id: string })._id)
  return ids.toSorted()
}

function apiOf({ grpcAddress }: TestDaemon): string {
  const [host, port] = grpcAddress.split(':')
  return `/ip4/${host}/tcp/${port}`
}

function backup(target: readonly string[] = [backups]): Promise<Exit> {
  return runDaemon(['backup', '-apiAddr', apiOf(daemon), ...target])
}

async function restore(repo: string, from: string = backups): Promise<Exit> {
  const exit = await runDaemon(['restore', '-repo', repo, from])
  expect(exit).toMatchObject({ code: 0 })
  return exit
}

/** Writes until it is told to stop, or the daemon is gone. */
function keepWriting(name: string): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const write = async (): Promise<void> => {
    for (let count = 0; !stopping.signal.aborted; count++) {
      const _id = `${name}-${count}`
      try {
        await client.create(dbID, 'Item', [{ _id }])
      } catch {
        return
      }
      acknowledged.push(_id)
    }
  }
  const writing = write()
  return {
    async stop() {
      stopping.abort()
      await writing
    },
  }
}

/** Documents of a repository that nobody serves. */
async function idsIn(repo: string): Promise<string[]> {
  const store = await openLevelStore({ location: join(repo, 'store') })
  try {
    const ids: string[] = []
    for await (const [key, value] of store.entries(rowRange('d'))) {
      if (decodeInstance(value).document !== undefined) ids.push(readInstanceKey(key).id)
    }
    return ids.toSorted()
  } finally {
    await store.close()
  }
}

function startBackup(): ChildProcess {
  return spawn(process.execPath, [MAIN, 'backup', '-apiAddr', apiOf(daemon), backups], { stdio: 'ignore' })
}

/** Resolves when a backup under way has written some of its file, or has ended. */
async function midway(process: ChildProcess): Promise<void> {
  const ended = once(process, 'close').then(() => true)
  const begun = async (): Promise<boolean> => {
    const names = (await readdir(backups)).filter((name) => name.endsWith('.partial'))
    const sizes = await Promise.all(
      names.map((name) =>
        stat(join(backups, name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    )
    return sizes.some((size) => size > 1_000_000)
  }
  while (!(await begun())) {
    if (await Promise.race([ended, new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))])) return
  }
}

it('backups taken while clients write have all that was acknowledged before', async () => {
  const writers = ['a', 'b'].map((name) => keepWriting(name))
  const rounds: { before: string[]; kept: string }[] = []
  for (let round = 0; round < 2; round++) {
    const before = [...acknowledged]
    expect(await backup()).toMatchObject({ code: 0 })
    const kept = join(root, `kept-${round}`)
    await cp(backups, kept, { recursive: true })
    rounds.push({ before, kept })
  }
  for (const writer of writers) await writer.stop()
  for (const { before, kept } of rounds) {
    const repo = `${kept}-restored`
    await restore(repo, kept)
    const ids = new Set(await idsIn(repo))
    expect(before.filter((id) => !ids.has(id))).toEqual([])
  }
  expect(rounds[1]?.before.length).toBeGreaterThan(rounds[0]?.before.length ?? 0)
  const verified = await runDaemon(['verify', '-repo', join(root, 'kept-1-restored')])
  expect(verified.stdout).toContain('All agree.')
}, 120_000)

it('one file, through a pipe, holds the same', async () => {
  const [directory, file] = [join(root, 'whole'), join(root, 'whole.backup')]
  expect(await backup([directory])).toMatchObject({ code: 0 })
  expect(await backup(['-file', file])).toMatchObject({ code: 0 })
  await restore(join(root, 'of-directory'), directory)
  const args = ['backup', '-apiAddr', apiOf(daemon), '-file', '-']
  const sender = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  const receiver = spawn(process.execPath, [MAIN, 'restore', '-repo', join(root, 'of-pipe'), '-file', '-'], {
    stdio: [sender.stdout, 'ignore', 'ignore'],
  })
  expect(await once(receiver, 'close')).toEqual([0, null])
  const ids = await idsIn(join(root, 'of-directory'))
  expect(ids).toEqual(acknowledged.toSorted())
  expect(await idsIn(join(root, 'of-pipe'))).toEqual(ids)
  const again = await runDaemon(['restore', '-repo', join(root, 'of-pipe'), '-file', file])
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('is a repository already, with 1 thread') })
}, 120_000)

it('a backup or a daemon that is killed midway leaves the backup before as it was', async () => {
  for (let count = 0; count < 100; count++) {
    await client.create(dbID, 'Item', [{ _id: `large-${count}`, padding: PADDING }])
    acknowledged.push(`large-${count}`)
  }
  const before = await readManifest(backups)
  const killed = startBackup()
  await midway(killed)
  killed.kill('SIGKILL')
  await expect.poll(() => killed.signalCode ?? killed.exitCode, SOON).not.toBe(null)
  expect(killed.signalCode).toBe('SIGKILL')
  expect(await readManifest(backups)).toEqual(before)

  const orphaned = startBackup()
  await midway(orphaned)
  await daemon.kill('SIGKILL')
  await expect.poll(() => orphaned.exitCode, SOON).toBe(1)
  expect(await readManifest(backups)).toEqual(before)
  await restore(join(root, 'as-before'))

  await daemon.restart()
  client.close()
  client = new Client(daemon.grpcAddress)
  expect(await backup()).toMatchObject({ code: 0 })
  const { files = [] } = (await readManifest(backups)) ?? {}
  expect(files.length).toBe((before?.files.length ?? 0) + 1)
  expect((await readdir(backups)).filter((name) => name.endsWith('.partial'))).toEqual([])
}, 120_000)

it.each(['another peer id', 'the key of the old host'])(
  'a host that was lost goes on with %s',
  async (identity) => {
    await expect.poll(async () => (await idsOf(ofPeer)).length, SOON).toBe(acknowledged.length)
    expect(await backup()).toMatchObject({ code: 0 })
    const late = `after the backup: ${identity}`
    await client.create(dbID, 'Item', [{ _id: late }])
    acknowledged.push(late)
    await expect.poll(async () => (await idsOf(ofPeer)).includes(late), SOON).toBe(true)
    const old = daemon
    await old.kill('SIGKILL')

    const repo = join(root, identity)
    await mkdir(repo)
    if (identity !== 'another peer id') await copyFile(join(old.repo, 'key'), join(repo, 'key'))
    await restore(repo)
    daemon = await startDaemon({ repo })
    expect(daemon.peerId === old.peerId).toBe(identity !== 'another peer id')
    client.close()
    client = new Client(daemon.grpcAddress)

    const own = `of the restored host: ${identity}`
    await client.create(dbID, 'Item', [{ _id: own }])
    acknowledged.push(own)
    const all = acknowledged.toSorted()
    await expect.poll(() => idsOf(client), SOON).toEqual(all)
    await expect.poll(() => idsOf(ofPeer), SOON).toEqual(all)
    for (const each of [daemon, peer]) expect(await forksOf(each)).toBe(0n)
    // Its store is another one.
    expect(await backup()).toMatchObject({ code: 1, stderr: expect.stringContaining('another store') })
    backups = join(root, `backups of ${identity}`)
    expect(await backup()).toMatchObject({ code: 0 })
    await rm(old.repo, { recursive: true, force: true })
  },
  120_000,
)

async function forksOf({ grpcAddress }: TestDaemon): Promise<bigint> {
  using transport = grpcTransport(grpcAddress)
  const net = new ServiceClient(transport, APIDefinition)
  return (await net.unary(APIDefinition.methods.getSyncStatus, {})).forkCount
}

it('a daemon that speaks TLS and answers to few is backed up by who can read its files', async () => {
  const allowed = identityOf(generateKey(randomBytes).publicKey)
  const files = { tlsCert: tlsFiles('first').cert, tlsKey: tlsFiles('first').key }
  await using closed = await startDaemon({ flags: { ...files, allowIdentities: allowed } })
  const take = (env: Record<string, string>): Promise<Exit> =>
    runDaemon(['backup', '-apiAddr', apiOf(closed), '-repo', closed.repo, '-file', '-'], env)
  const env = { THRDS_TLSCERT: files.tlsCert, THRDS_TLSKEY: files.tlsKey, THRDS_ALLOWIDENTITIES: allowed }
  expect(await take(env)).toMatchObject({ code: 0, stderr: expect.stringContaining('0 threads') })
  const { THRDS_ALLOWIDENTITIES: _, ...nobody } = env
  expect(await take(nobody)).toMatchObject({ code: 1, stderr: expect.stringContaining('a token is required') })
  const other = { ...env, THRDS_TLSCERT: tlsFiles('second').cert, THRDS_TLSKEY: tlsFiles('second').key }
  expect(await take(other)).toMatchObject({ code: 1, stderr: expect.stringContaining('no daemon answers') })
  expect(await take({})).toMatchObject({ code: 1 })
}, 60_000)

it.each([
  [['backup'], /needs either DIR or -file FILE/],
  [['backup', '-apiAddr', 'nowhere', 'x'], /"nowhere" is not/],
  [['backup', '-apiAddr', '/ip4/127.0.0.1/tcp/1', '-file', '-'], /no daemon answers at 127\.0\.0\.1:1/],
  [['restore'], /needs either the directory/],
])('%j says what is wrong', async (args, message) => {
  const exit = await runDaemon(args)
  expect(exit.code).toBe(1)
  expect(exit.stderr).toMatch(message)
})
