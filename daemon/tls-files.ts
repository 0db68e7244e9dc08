import { unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { TlsIdentity } from '../src/api/index.ts'
import type { Logger } from '../src/core/logger.ts'

/** Names of two files in PEM. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

/** How often the files are looked at. Looking also notices links that are changed, as those of certbot and Kubernetes. */
const INTERVAL_MS = 2_000

/** Reads certificate and key. Throws an error that names the files if they cannot be used. */
export async function readTlsFiles({ cert, key }: TlsFiles): Promise<TlsIdentity> {
  try {
    const identity = { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
    createSecureContext(identity)
    return identity
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`the certificate ${cert} cannot be used with the key ${key}: ${reason}`, { cause })
  }
}

/** Calls `renew` when one of the files has changed and both can be used. The returned function ends that. */
export function watchTlsFiles(files: TlsFiles, logger: Logger, renew: (identity: TlsIdentity) => void): () => void {
  const onChange = async (): Promise<void> => {
    try {
      renew(await readTlsFiles(files))
      logger.info({ file: files.cert }, 'new connections get the new certificate')
    } catch (error) {
      // The other file may be about to follow; that is a change too.
      logger.warn({ error }, 'a changed certificate is not used')
    }
  }
  const listener = (): void => void onChange()
  const names = [files.cert, files.key]
  for (const name of names) watchFile(name, { interval: INTERVAL_MS, persistent: false }, listener)
  return () => {
    for (const name of names) unwatchFile(name, listener)
  }
}
