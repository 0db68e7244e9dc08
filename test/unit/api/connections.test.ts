import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { startApi } from '../../support/api-server.ts'

const MAX_CONNECTIONS = 5

describe('a server takes no more connections than it may:', () => {
  it.each(['gRPC', 'gRPC-Web'])('%s', async (server) => {
    await using api = await startApi({ maxConnections: MAX_CONNECTIONS })
    const port = Number((server === 'gRPC' ? api.grpcAddress : api.webUrl).split(':').at(-1))
    let open = 0
    const open1 = (): Promise<void> => {
      const socket = connect(port, '127.0.0.1')
      sockets.push(socket)
      open++
      return new Promise((resolve) =>
        socket
          .resume()
          .on('error', () => {})
          .on('close', () => resolve(void open--)),
      )
    }
    const sockets: ReturnType<typeof connect>[] = []
    const closed = Array.from({ length: MAX_CONNECTIONS + 3 }, open1)
    await expect.poll(() => open).toBe(MAX_CONNECTIONS)
    for (const socket of sockets) socket.resetAndDestroy()
    await Promise.all(closed)
    const again = open1()
    await expect.poll(() => open).toBe(1)
    sockets.at(-1)?.destroy()
    await again
  })
})
