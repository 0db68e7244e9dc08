/** What a host makes of damage in the files of LevelDB itself. */
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { type Logger, silentLogger } from '../../../src/core/logger.ts'
import { peerIdOf } from '../../../src/core/peer-id.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { createNet, type Net } from '../../../src/net/index.ts'
import { type HostStore, openHostStore } from '../../../src/store/host-store.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { random } from '../../support/log-maker.ts'
import { NetLinks } from '../../support/net-host.ts'

const RECORDS = 400
/** LevelDB checks its log in blocks of this size, and leaves out a whole one. */
const BLOCK_BYTES = 32_768

let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'threads-damaged-'))
})

afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

async function openOn(location: string, logger: Logger = silentLogger): Promise<{ net: Net; store: HostStore }> {
  const privateKey = generateKey(randomBytes)
  const clock = new FakeClock()
  const network = new NetLinks().network(peerIdOf(privateKey.publicKey))
  const store = await openHostStore({ location, clock, random, logger })
  return { store, net: await createNet({ store, privateKey, network, clock, random, logger }) }
}

/** Flips a byte at some place of the only log file. */
async function damageLog(location: string, share: number): Promise<void> {
  const [name = ''] = (await readdir(location)).filter((file) => file.endsWith('.log'))
  const file = await open(join(location, name), 'r+')
  const { size } = await stat(join(location, name))
  expect(size).toBeGreaterThan(5 * BLOCK_BYTES)
  const at = Math.floor((size * share) / BLOCK_BYTES) * BLOCK_BYTES + BLOCK_BYTES / 2
  const byte = new Uint8Array(1)
  await file.read(byte, 0, 1, at)
  byte[0] = ~(byte[0] ?? 0)
  await file.write(byte, 0, 1, at)
  await file.close()
}

it('cuts the logs of which a damaged block of the LevelDB log held records, and writes on in others', async () => {
  const running = join(root, 'running')
  const { net, store } = await openOn(running)
  const { id } = await net.createThread(newThreadId('raw', random))
  for (let at = 0; at < RECORDS; at++) await net.createRecord(id, encode({ at, text: 'x'.repeat(200) }))
  // The files as a crash leaves them.
  const crashed = join(root, 'crashed')
  await cp(running, crashed, { recursive: true })
  await net.stop()
  await store.close()
  await damageLog(crashed, 0.5)

  const errors: string[] = []
  const logger: Logger = { ...silentLogger, error: (_, message) => errors.push(message), child: () => logger }
  const again = await openOn(crashed, logger)
  const [log] = (await again.net.getThread(id)).logs
  const head = log?.head.counter ?? 0
  expect(head).toBeGreaterThan(0)
  expect(head).toBeLessThan(RECORDS)
  expect(errors).toEqual([
    'commits are missing in the store, part of its files was lost; it is repaired now',
    'records of a log are lost',
    'the store was repaired; databases are rebuilt, and peers are asked for what is missing',
  ])
  const record = await again.net.createRecord(id, encode('more'))
  expect(record.logId).not.toBe(log?.id)
  await again.net.stop()
  await again.store.close()
})
