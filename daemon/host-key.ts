import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Random } from '../src/core/clock.ts'
import { ThreadsError } from '../src/core/errors.ts'
import { decodePrivateKey, generateKey, type PrivateKey } from '../src/core/keys.ts'

/**
 * The key of the host, from the file `key` of the repository, which exists: a libp2p private-key protobuf, readable by its owner
 * only. A new repository gets a new key. Throws INVALID_KEY for a damaged file, and for a missing one where there is data:
 * the peer id, the tokens and the own logs hang on it, so it is never replaced.
 */
export async function loadHostKey(repo: string, random: Random, isNew: boolean): Promise<PrivateKey> {
  const file = join(repo, 'key')
  const stored = await readIfPresent(file)
  if (stored === undefined && !isNew) throw lostKey(`${file} is missing, though the repository has data`)
  if (stored === undefined) {
    const key = generateKey(random)
    await writeDurably(repo, file, key.encoded)
    return key
  }
  try {
    return decodePrivateKey(stored)
  } catch (error) {
    throw lostKey(`${file} is not a private key`, error)
  }
}

function lostKey(message: string, cause?: unknown): ThreadsError {
  const hint = 'Put the file back from a backup. Without it the host is another one to its peers.'
  return new ThreadsError('INVALID_KEY', message, { cause, hint })
}

async function readIfPresent(file: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(file)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** After a crash at any moment the file is there whole, or not at all. */
async function writeDurably(directory: string, file: string, bytes: Uint8Array): Promise<void> {
  const draft = `${file}.new`
  await rm(draft, { force: true })
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
  const parent = await open(directory)
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
}
