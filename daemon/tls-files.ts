import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { TlsIdentity } from '../src/api/index.ts'
import type { Logger } from '../src/core/logger.ts'

/** Names of two files in PEM. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

/** How often the files are read. Nothing tells of links that are changed, as those of certbot and Kubernetes. */
const INTERVAL_MS = 2_000

/** Reads certificate and key. Throws an error that names the files if they cannot be used. */
export async function readTlsFiles(files: TlsFiles): Promise<TlsIdentity> {
  try {
    const identity = await readBoth(files)
    createSecureContext(identity)
    return identity
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`the certificate ${files.cert} cannot be used with the key ${files.key}: ${reason}`, { cause })
  }
}

export interface TlsWatch {
  readonly files: TlsFiles
  /** What was read of them. */
  readonly identity: TlsIdentity
  readonly logger: Logger
  /** Called with what else is found in the files, if that can be used. */
  renew(this: void, identity: TlsIdentity): void
}

/** Looks at the files from now on. The returned function ends that. */
export function watchTlsFiles({ files, identity, logger, renew }: TlsWatch): () => void {
  let seen = identity
  const look = async (): Promise<void> => {
    // A file that is missing is being replaced.
    const found = await readBoth(files).catch(() => seen)
    if (found.cert === seen.cert && found.key === seen.key) return
    seen = found
    try {
      renew(found)
      logger.info({ file: files.cert }, 'new connections get the new certificate')
    } catch (error) {
      // The other file may be about to follow.
      logger.warn({ file: files.cert, error }, 'a changed certificate is not used')
    }
  }
  const timer = setInterval(() => void look(), INTERVAL_MS).unref()
  return () => clearInterval(timer)
}

async function readBoth({ cert, key }: TlsFiles): Promise<TlsIdentity> {
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
}
