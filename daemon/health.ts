import { connect } from 'node:http2'
import { keepCompiledCode } from './compile-cache.ts'

/**
 * Exits with 0 if the daemon serves, with 1 if not: for the health check of a container. Asks
 * `grpc.health.v1.Health/Check` at the address that the environment of the daemon and its file name.
 */
const TIMEOUT_MS = 3_000

// Run every few seconds: what can be kept of it, is.
keepCompiledCode(process.env)
const { loadConfig } = await import('./config.ts')

const config = (await loadConfig([], process.env))?.config
const apiAddr = config?.apiAddr ?? { host: '127.0.0.1', port: 6006 }
const protocol = config?.tlsCert === undefined ? 'http' : 'https'

// Whose certificate it is does not matter: nothing is told, and the answer opens nothing.
const session = connect(`${protocol}://${hostOf(apiAddr.host)}:${apiAddr.port}`, { rejectUnauthorized: false })
session.on('error', () => process.exit(1)).setTimeout(TIMEOUT_MS, () => process.exit(1))

const call = session.request({
  ':method': 'POST',
  ':path': '/grpc.health.v1.Health/Check',
  'content-type': 'application/grpc+proto',
  te: 'trailers',
})
const chunks: Buffer[] = []
call.on('data', (chunk: Buffer) => chunks.push(chunk))
call.on('error', () => process.exit(1))
call.on('end', () => process.exit(serving(Buffer.concat(chunks)) ? 0 : 1))
// An empty HealthCheckRequest asks for the server as a whole: a frame of no bytes.
call.end(Buffer.alloc(5))

/** HealthCheckResponse { status: SERVING } is field 1, varint 1, after the 5 bytes of the frame. */
function serving(reply: Buffer): boolean {
  return reply.subarray(5).equals(Buffer.from([0x08, 0x01]))
}

/** A server that listens everywhere is asked on the loopback. */
function hostOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host.includes(':') ? `[${host === '::' ? '::1' : host}]` : host
}
