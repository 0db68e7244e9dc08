import { status } from '@grpc/grpc-js'
import { unlessAborted } from '../util/unless-aborted.ts'
import { RpcError } from './errors.ts'
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthDefinition,
} from './gen/health.ts'
import { type RpcContext, type RpcService, serverStream, unary } from './service.ts'

/** `grpc.health.v1.Health`: what answers, serves. Services are those named, and the empty name for all of them. */
export function healthService(services: readonly string[]): RpcService<keyof HealthDefinition['methods']> {
  const known = new Set(['', HealthDefinition.fullName, ...services])

  async function check({ service }: HealthCheckRequest): Promise<HealthCheckResponse> {
    if (!known.has(service)) throw new RpcError(status.NOT_FOUND, `unknown service ${service}`)
    return { status: ServingStatus.SERVING }
  }

  /** The state does not change before the server stops, which ends the stream. */
  async function* watch({ service }: HealthCheckRequest, context: RpcContext): AsyncGenerator<HealthCheckResponse> {
    yield { status: known.has(service) ? ServingStatus.SERVING : ServingStatus.SERVICE_UNKNOWN }
    await unlessAborted(() => new Promise<never>(() => {}), context.signal)
  }

  const rpc = HealthDefinition.methods
  return {
    name: HealthDefinition.fullName,
    methods: { check: unary(rpc.check, check), watch: serverStream(rpc.watch, watch) },
  }
}
