/** Listeners that have stopped reading, against a real daemon: they cost others nothing, and the daemon little. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ListenReply } from '../../src/api/gen/threads.ts'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'
import { DogClient } from '../support/dog-client.ts'
import { grpcTransport, type RpcCall } from '../support/grpc-client.ts'
import { startProxy } from '../support/tcp-proxy.ts'
import { grpcWebTransport, webSocketTransport } from '../support/web-client.ts'

const MIB = 1024 * 1024
const LISTENERS = 40
const UPDATES = 60
const UPDATE_BYTES = MIB / 2
/** Would every listener keep its updates, they took more than twice as much. */
const MAX_GROWTH_BYTES = 500 * MIB

const WAYS = [
  {
    name: 'gRPC',
    portOf: ({ grpcAddress }: TestDaemon) => Number(grpcAddress.split(':')[1]),
    connect: (port: number) => grpcTransport(`127.0.0.1:${port}`),
  },
  {
    name: 'websockets',
    portOf: ({ webAddress }: TestDaemon) => Number(new URL(webAddress).port),
    connect: (port: number) => webSocketTransport(`http://127.0.0.1:${port}`),
  },
  {
    name: 'gRPC-Web',
    portOf: ({ webAddress }: TestDaemon) => Number(new URL(webAddress).port),
    connect: (port: number) => grpcWebTransport(`http://127.0.0.1:${port}`),
  },
] as const

const IDS = Array.from({ length: UPDATES }, (_, index) => `large-${index}`)

describe.skipIf(!existsSync('/proc/self/status'))('listeners that have stopped reading', () => {
  it.each(WAYS)(
    'over $name hold up nobody, take little memory, and miss nothing',
    async ({ portOf, connect }) => {
      // New, because a daemon keeps memory that it once had.
      await using daemon = await startDaemon()
      using direct = grpcTransport(daemon.grpcAddress)
      const dogs = await DogClient.create(direct)
      await using proxy = await startProxy(portOf(daemon))
      using through = connect(proxy.port)
      const slow = new DogClient(through, dogs.dbID)
      const [first, ...others] = await Promise.all(Array.from({ length: LISTENERS }, () => slow.listen()))
      const reading = await dogs.listen()
      proxy.block()
      const before = memoryOf(daemon)
      for (const id of IDS) {
        await dogs.createLarge(id, UPDATE_BYTES)
        await untilToldOf(id, reading)
      }
      expect(memoryOf(daemon) - before).toBeLessThan(MAX_GROWTH_BYTES)
      reading.cancel()
      for (const call of others) call.cancel()
      proxy.unblock()
      for (const id of IDS) await untilToldOf(id, first)
      first?.cancel()
    },
    120_000,
  )
})

/** Passes over the small dogs that were created while the listeners began to listen. */
async function untilToldOf(id: string, call: RpcCall | undefined): Promise<void> {
  for (;;) {
    const reply = await call?.receive()
    if (reply === undefined) throw new Error(`the listener ended before it was told of ${id}`)
    const { instanceID } = ListenReply.decode(reply)
    if (instanceID === id) return
    expect(instanceID).not.toMatch(/^large/)
  }
}

/** What the daemon has in memory. */
function memoryOf({ pid }: TestDaemon): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kibibytes) * 1024
}
