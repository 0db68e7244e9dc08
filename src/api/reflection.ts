import type { Server } from '@grpc/grpc-js'
import { ReflectionService } from '@grpc/reflection'
import { FILE_DESCRIPTORS } from './gen/descriptors.ts'

/** Lets tools like grpcurl ask for the services and their messages. */
export function addReflection(server: Server): void {
  const fileDescriptorProtos = FILE_DESCRIPTORS.map((file) => Buffer.from(file, 'base64'))
  const files = { format: 'Protocol Buffer 3 DescriptorProto' as const, type: {}, fileDescriptorProtos }
  new ReflectionService({ files }).addToServer(server)
}
