import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2'
import type { OpenOptions, RpcCall, Transport } from './grpc-client.ts'
import { frameOf, ResponseReader } from './web-client.ts'

/** gRPC by hand: a deadline is only told to the server, nothing here ends the call. */
export function http2Transport(address: string): Transport {
  const session = connect(`http://${address}`)
  session.on('error', () => {})
  return {
    open: (path, options = {}) => openStream(session, path, options),
    [Symbol.dispose]: () => session.destroy(),
  }
}

function openStream(session: ClientHttp2Session, path: string, { metadata = [], timeoutMs }: OpenOptions): RpcCall {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(timeoutMs === undefined ? {} : { 'grpc-timeout': `${timeoutMs}m` }),
    ...Object.fromEntries(metadata),
  })
  const response = new ResponseReader()
  const takeTrailers = (headers: IncomingHttpHeaders) => {
    response.trailers = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
  }
  stream.on('data', (chunk: Buffer) => response.push(chunk))
  // Without any message the trailers are the headers.
  stream.on('response', takeTrailers).on('trailers', takeTrailers)
  // The server's side is over; ours may be open still.
  stream.on('end', () => {
    response.end()
    stream.close()
  })
  stream.on('error', () => {}).on('close', () => response.end())
  return {
    send: (message) => void stream.write(frameOf(message)),
    halfClose: () => stream.end(),
    receive: () => response.inbox.receive(),
    status: response.status,
    cancel: () => stream.close(constants.NGHTTP2_CANCEL),
  }
}
