import { type handleBidiStreamingCall, type MethodDefinition, type Server, status } from '@grpc/grpc-js'

const PATHS = ['v1', 'v1alpha'].map((version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`)

type Answer = handleBidiStreamingCall<unknown, unknown>
type Stream = Parameters<Answer>[0]

interface Reflection {
  readonly definition: MethodDefinition<unknown, unknown>
  readonly answer: Answer
}

/** Lets tools like grpcurl ask for the services and their messages. */
export function addReflection(server: Server): void {
  for (const path of PATHS) {
    let loaded: Reflection | undefined
    const answer = async (stream: Stream): Promise<void> => {
      try {
        loaded ??= await load(path)
        loaded.answer(stream)
      } catch {
        stream.emit('error', { code: status.INTERNAL, details: 'reflection is not available' })
      }
    }
    // No message is read, nor written, before there is somebody to answer it.
    const read = (bytes: Buffer): unknown => loaded?.definition.requestDeserialize(bytes)
    const write = (reply: unknown): Buffer => loaded?.definition.responseSerialize(reply) ?? Buffer.alloc(0)
    server.register(path, (stream: Stream) => void answer(stream), write, read, 'bidi')
  }
}

/** Loaded with the first call: it takes more time than all services of the daemon, and few ever call. */
async function load(path: string): Promise<Reflection> {
  const [{ ReflectionService }, { FILE_DESCRIPTORS }] = await Promise.all([
    import('@grpc/reflection'),
    import('./gen/descriptors.ts'),
  ])
  const fileDescriptorProtos = FILE_DESCRIPTORS.map((file) => Buffer.from(file, 'base64'))
  const files = { format: 'Protocol Buffer 3 DescriptorProto' as const, type: {}, fileDescriptorProtos }
  const found: Reflection[] = []
  new ReflectionService({ files }).addToServer({
    addService(service, implementation) {
      for (const [name, definition] of Object.entries(service)) {
        if (definition.path === path) found.push({ definition, answer: implementation[name] as Answer })
      }
    },
  })
  const [reflection] = found
  if (reflection === undefined) throw new TypeError(`${path} is not served`)
  return reflection
}
