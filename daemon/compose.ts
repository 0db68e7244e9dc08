import { access, constants, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createApi, type TlsIdentity } from '../src/api/index.ts'
import { systemClock } from '../src/core/clock.ts'
import { randomBytes } from '../src/core/crypto.ts'
import type { Logger } from '../src/core/logger.ts'
import { createDb } from '../src/db/index.ts'
import { createNet } from '../src/net/index.ts'
import { openHostStore } from '../src/store/host-store.ts'
import { loadHostKey } from './host-key.ts'
import { type Daemon, Parts } from './parts.ts'
import type { Config } from './settings.ts'
import { readTlsFiles, type TlsFiles, watchTlsFiles } from './tls-files.ts'

/**
 * Starts everything, each part over the ones before it; the only place where parts meet. When it resolves the host
 * serves. If a part fails to start, the ones before it are stopped again.
 */
export async function startDaemon(config: Config, logger: Logger): Promise<Daemon> {
  const parts = new Parts(logger)
  try {
    const peerId = await startParts(config, logger, parts)
    return { peerId, stop: () => parts.stop() }
  } catch (error) {
    await parts.stop()
    throw error
  }
}

async function startParts(config: Config, logger: Logger, parts: Parts): Promise<string> {
  const clock = systemClock
  const random = randomBytes
  const tlsFiles = tlsFilesOf(config)
  const tls = tlsFiles && (await readTlsFiles(tlsFiles))
  await makeRepository(config.repo)

  // The store first: it refuses a second daemon on the same repository before anything else is touched.
  const location = join(config.repo, 'store')
  const { durability, minFreeBytes, feedBytes } = config
  const store = await openHostStore({ location, durability, minFreeBytes, feedBytes, clock, random, logger })
  parts.add('store', () => store.close())

  const privateKey = await loadHostKey(config.repo, random, store.journal.lastSeq === 0)
  const net = await createNet({ store, privateKey, clock, random, logger }, netOptions(config))
  // Databases take their threads before the host listens, and let go of them after: no record comes without its owner.
  const databases = await createDb({ net, store, clock, random, logger }, dbOptions(config))
  parts.add('databases', () => databases.close())
  parts.add('net', () => net.stop())
  await net.start()

  const api = createApi({ net, databases, clock, random, logger, options: { ...apiOptions(config), tls } })
  parts.add('api', () => api.stop())
  await api.start()
  if (tlsFiles && tls) {
    const renew = (identity: TlsIdentity): void => api.renewTls(identity)
    const stop = watchTlsFiles({ files: tlsFiles, identity: tls, logger, renew })
    parts.add('certificate', async () => stop())
  }
  return net.hostId
}

function tlsFilesOf({ tlsCert, tlsKey }: Config): TlsFiles | undefined {
  return tlsCert === undefined || tlsKey === undefined ? undefined : { cert: tlsCert, key: tlsKey }
}

async function makeRepository(repo: string): Promise<void> {
  try {
    await mkdir(repo, { recursive: true, mode: 0o700 })
    await access(repo, constants.W_OK)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`the repository ${repo} cannot be written: ${reason}`, { cause: error })
  }
}

function netOptions(config: Config): Parameters<typeof createNet>[1] {
  return {
    listen: [config.hostAddr],
    announce: config.announceAddr === undefined ? [] : [config.announceAddr],
    maxConnections: config.connHighWater,
    gossip: config.enableNetPubsub,
    pull: !config.disableNetPulling,
    pullRecords: config.netPullingLimit,
    pullStartAfterMs: config.netPullingStartAfter,
    pullInitialIntervalMs: config.netPullingInitialInterval,
    pullIntervalMs: config.netPullingInterval,
    replicateFor: config.replicateFor,
    maxUnsolicitedBytes: config.maxUnsolicitedBytes,
    maxUnsolicitedThreads: config.maxUnsolicitedThreads,
    maxLogs: config.maxLogs,
  }
}

function dbOptions(config: Config): Parameters<typeof createDb>[1] {
  return {
    maxClockDriftMs: config.maxClockDrift,
    transactionIdleMs: config.transactionIdle,
    transactionTotalMs: config.transactionTotal,
  }
}

function apiOptions(config: Config): Parameters<typeof createApi>[0]['options'] {
  return {
    grpc: config.apiAddr,
    web: config.apiProxyAddr,
    maxMessageBytes: config.maxMessageBytes,
    maxConnections: config.maxConnections,
    maxCalls: config.maxCalls,
    ...(config.maxHeldBytes === undefined ? {} : { maxHeldBytes: config.maxHeldBytes }),
    allowIdentities: config.allowIdentities,
    corsOrigins: config.corsOrigins,
    keepAliveIntervalMs: config.keepAliveInterval,
  }
}
