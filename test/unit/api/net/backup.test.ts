import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { DaemonClient } from '../../../../src/client/node/index.ts'
import { systemClock } from '../../../../src/core/clock.ts'
import { randomBytes } from '../../../../src/core/crypto.ts'
import { ThreadsError } from '../../../../src/core/errors.ts'
import { newThreadId } from '../../../../src/core/thread-id.ts'
import type { BackupFrame, BackupOptions, Net } from '../../../../src/net/index.ts'
import { startApi, type TestApi } from '../../../support/api-server.ts'
import { fakeNet } from '../../../support/fake-net.ts'

const FRAMES = 60
const NOTHING = new Uint8Array(0)

/** A net with a large backup, which counts what was taken of it. */
class LargeBackup {
  readonly options: BackupOptions[] = []
  taken = 0
  ended = false
  readonly net: Net = fakeNet(systemClock, { backup: (options = {}) => this.#frames(options) })

  async *#frames(options: BackupOptions): AsyncGenerator<BackupFrame> {
    this.options.push(options)
    const blocks = { recordNode: randomBytes(1024 * 1024), eventNode: NOTHING, headerNode: NOTHING, bodyNode: NOTHING }
    const value = { threadID: NOTHING, number: 1n, first: 1n, records: [blocks] }
    try {
      for (; this.taken < FRAMES; this.taken++) yield { $case: 'records', value }
      throw new ThreadsError('STORE_CORRUPT', 'record 7 of log x is missing')
    } finally {
      this.ended = true
    }
  }
}

async function withBackup(test: (backup: LargeBackup, client: DaemonClient) => Promise<void>): Promise<void> {
  const backup = new LargeBackup()
  await using api: TestApi = await startApi({ net: backup.net })
  using client = new DaemonClient(api.grpcAddress)
  await test(backup, client)
}

/** Waits until no more is taken. */
async function settled(backup: LargeBackup): Promise<number> {
  for (let last = -1, same = 0; same < 200; ) {
    await nextTurn()
    same = backup.taken === last ? same + 1 : 0
    last = backup.taken
  }
  return backup.taken
}

describe('a backup over gRPC', () => {
  it('is read no faster than it is taken, and ends when the caller is gone', () =>
    withBackup(async (backup, client) => {
      const frames = client.backup({ thread: undefined, known: [] })
      expect((await frames.next()).value).toMatchObject({ $case: 'records' })
      expect(await settled(backup)).toBeLessThan(30)
      for (let count = 0; count < 20; count++) await frames.next()
      expect(await settled(backup)).toBeLessThan(50)
      expect(backup.ended).toBe(false)
      await frames.return(undefined)
      await vi.waitFor(() => expect(backup.ended).toBe(true))
    }))

  it('asks for one thread, and names what is known', () =>
    withBackup(async (backup, client) => {
      const thread = newThreadId('raw', randomBytes)
      const known = [{ threadID: randomBytes(34), number: 3n, base: 2n, counter: 9n, head: randomBytes(36) }]
      const frames = client.backup({ thread, known })
      await frames.next()
      await frames.return(undefined)
      expect(backup.options[0]).toMatchObject({ thread })
      const [chain] = backup.options[0]?.known ?? []
      expect({ ...chain, threadID: [...(chain?.threadID ?? [])], head: [...(chain?.head ?? [])] }).toEqual({
        ...known[0],
        threadID: [...(known[0]?.threadID ?? [])],
        head: [...(known[0]?.head ?? [])],
      })
    }))

  it('that fails midway tells why', () =>
    withBackup(async (_backup, client) => {
      const taking = Array.fromAsync(client.backup({ thread: undefined, known: [] }), () => 1)
      await expect(taking).rejects.toMatchObject({
        code: 'STORE_CORRUPT',
        message: expect.stringContaining('record 7'),
      })
    }))
})
