/** A gRPC server that does nothing but answer: what a daemon in another process could reach at best. */
import { Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall } from '@grpc/grpc-js'
import { ECHO_BYTES, ECHO_STREAM, ECHO_UNARY } from './echo.ts'

type Reply = (error: null, reply: Buffer) => void

const identity = (bytes: Buffer): Buffer => bytes
const codecs = {
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
}
const server = new Server()
server.addService(
  {
    unary: { path: ECHO_UNARY, requestStream: false, responseStream: false, ...codecs },
    bytes: { path: ECHO_BYTES, requestStream: false, responseStream: false, ...codecs },
    stream: { path: ECHO_STREAM, requestStream: true, responseStream: true, ...codecs },
  },
  {
    unary: (call: ServerUnaryCall<Buffer, Buffer>, reply: Reply) => reply(null, call.request),
    bytes: (call: ServerUnaryCall<Buffer, Buffer>, reply: Reply) => reply(null, Buffer.alloc(Number(call.request))),
    stream: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (message: Buffer) => {
        if (!call.write(message)) call.pause()
      })
      call.on('drain', () => call.resume())
      call.on('end', () => call.end())
    },
  },
)
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  process.send?.(port)
})
