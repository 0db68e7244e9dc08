import { connect, createServer, type Socket } from 'node:net'

/** A way to a server of the loopback that can be cut or blocked, as networks and frozen machines do. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number
  /** Breaks the connections on the server's side with a reset, without any farewell. */
  reset(): void
  /** Takes nothing more from the server: to it, its clients have stopped reading. */
  block(): void
  unblock(): void
}

export async function startProxy(serverPort: number): Promise<TcpProxy> {
  /** The client's side by the server's. */
  const pairs = new Map<Socket, Socket>()
  const proxy = createServer((client) => {
    const server = connect(serverPort, '127.0.0.1')
    pairs.set(server, client)
    client.pipe(server).pipe(client)
    // Either side ends with the other.
    client.on('error', () => {}).on('close', () => server.destroy())
    server
      .on('error', () => {})
      .on('close', () => {
        pairs.delete(server)
        client.destroy()
      })
  })
  await new Promise<void>((resolve, reject) => {
    proxy.once('error', reject).listen(0, '127.0.0.1', resolve)
  })
  const address = proxy.address()
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    reset() {
      for (const server of pairs.keys()) server.resetAndDestroy()
    },
    block() {
      for (const server of pairs.keys()) server.unpipe().pause()
    },
    unblock() {
      for (const [server, client] of pairs) server.pipe(client)
    },
    async [Symbol.asyncDispose]() {
      for (const server of pairs.keys()) server.destroy()
      await new Promise((resolve) => proxy.close(resolve))
    },
  }
}
