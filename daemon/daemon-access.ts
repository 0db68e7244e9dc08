import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DaemonAccess, DaemonClient } from '../src/client/node/index.ts'
import { systemClock } from '../src/core/clock.ts'
import { identityOf } from '../src/core/identity.ts'
import { decodePrivateKey } from '../src/core/keys.ts'
import { issueToken } from '../src/core/token.ts'
import { loadConfig } from './config.ts'
import type { Config } from './settings.ts'
import { UsageError } from './usage-error.ts'

/**
 * Calls the daemon with these settings, which the environment and its file complete. Its own files say how: the
 * certificate that it shows and, if it does not answer to anyone, the key of the host. Throws UsageError.
 */
export async function clientOf(flags: Readonly<Record<string, string>>): Promise<DaemonClient> {
  const args = Object.entries(flags).map(([name, value]) => `-${name}=${value}`)
  const loaded = await loadConfig(args, process.env)
  if (loaded === undefined) throw new UsageError('there is nothing to call')
  const { config } = loaded
  const { host, port } = config.apiAddr
  return new DaemonClient(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, await accessTo(config))
}

async function accessTo({ tlsCert, allowIdentities, repo }: Config): Promise<DaemonAccess> {
  return {
    ...(tlsCert === undefined ? {} : { certificate: await readFile(tlsCert, 'utf8') }),
    ...(allowIdentities === 'anyone' ? {} : { token: await tokenOfHost(repo) }),
  }
}

/** Whoever can read the key of a host can speak for it. */
async function tokenOfHost(repo: string): Promise<string> {
  const key = decodePrivateKey(await readFile(join(repo, 'key')))
  return issueToken(key, identityOf(key.publicKey), Math.floor(systemClock.nowMs() / 1000))
}
