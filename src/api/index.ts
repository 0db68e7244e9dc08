import type { RequestListener } from 'node:http'
import type { Logger } from '../core/logger.ts'
import { admitOnly } from './admission.ts'
import { CallLedger } from './call-ledger.ts'
import { dbService } from './db/index.ts'
import { GrpcServer } from './grpc-server.ts'
import { healthService } from './health.ts'
import { netService } from './net/index.ts'
import { type ApiOptions, type HostPort, resolveApiOptions, type TlsIdentity } from './options.ts'
import { createRouter } from './router.ts'
import type { Components } from './service.ts'
import { WebServer } from './web-server.ts'

export type { ApiOptions, HostPort, TlsIdentity } from './options.ts'

export interface ApiInit extends Components {
  readonly logger: Logger
  readonly options?: ApiOptions | undefined
  /** Answers requests on the web port that are no calls. Default: 404. */
  readonly fallback?: RequestListener
}

/** Serves a host's databases and threads to clients. */
export interface Api {
  /** Answers where it listens. Rejects if an address is not free. */
  start(): Promise<{ grpc: HostPort; web: HostPort }>
  /** New connections get this certificate. Only of servers with TLS. Throws if certificate and key do not belong together. */
  renewTls(identity: TlsIdentity): void
  /** Takes no more calls, ends subscriptions, lets other calls end for `stopTimeoutMs`, then breaks them off. */
  stop(): Promise<void>
}

/**
 * @example
 * const api = createApi({ net, databases, clock: systemClock, random: randomBytes, logger })
 * const { grpc, web } = await api.start()
 */
export function createApi({ logger: parent, options: given, fallback, ...components }: ApiInit): Api {
  const options = resolveApiOptions(given)
  const logger = parent.child('api')
  const { clock } = components
  const services = [dbService, netService, healthService([dbService.name, netService.name])]
  const { allowIdentities } = options
  // The host itself is whoever can read its key: who takes backups, for instance.
  const admission =
    allowIdentities === 'anyone' ? {} : { admit: admitOnly([...allowIdentities, components.net.identity]) }
  const router = createRouter(services, { ...components, logger, ...admission })
  const ledger = new CallLedger(options)
  const grpc = new GrpcServer(router, { ...options, ledger })
  const web = new WebServer(router, { ...options, clock, ledger, ...(fallback === undefined ? {} : { fallback }) })

  return {
    async start() {
      const addresses = { grpc: await grpc.start(options.grpc), web: await web.start(options.web) }
      logger.info(addresses, 'serving')
      return addresses
    },
    renewTls(identity) {
      grpc.renewTls(identity)
      web.renewTls(identity)
    },
    async stop() {
      router.endStreams()
      await Promise.all([grpc.stop(), web.stop()])
    },
  }
}
