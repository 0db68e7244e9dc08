import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseThreadId, type ThreadId } from '../../src/core/thread-id.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { damaged } from './backup-file.ts'
import { writeDurably } from './durable-file.ts'

const FORMAT = 1
const NAME = 'manifest.json'
/** Two files a day are a thousand in more than a year. */
export const MAX_FILES = 10_000

/** A backup, or what was added to the ones before. */
export interface ManifestFile {
  /** In the directory of the manifest. */
  readonly name: string
  readonly bytes: number
  /** See `BackupWriter.digest`. */
  readonly digest: string
  /** The newest commit in it. */
  readonly seq: number
  /** By the clock of the host; ISO 8601. */
  readonly takenAt: string
  readonly threads: number
  readonly logs: number
  /** That it added. */
  readonly records: number
}

/** What a directory of backups holds. Files that it does not name are no part of it. */
export interface Manifest {
  readonly format: typeof FORMAT
  /** In hex. All files are of the same store. */
  readonly storeId: string
  /** The only thread in it; `null` for all. */
  readonly thread: ThreadId | null
  /** In order. The rows of the last one count, and records of all. */
  readonly files: readonly ManifestFile[]
}

export function newManifest(storeId: string, thread: ThreadId | undefined): Manifest {
  return { format: FORMAT, storeId, thread: thread ?? null, files: [] }
}

/** `undefined` if the directory has none. Throws INVALID_BACKUP. */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  const path = join(directory, NAME)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    return manifestOf(JSON.parse(text))
  } catch (error) {
    if (error instanceof SyntaxError) throw damaged(path, 'it is no JSON', error)
    if (error instanceof ThreadsError) throw damaged(path, error.message, error)
    throw error
  }
}

/** After a crash at any moment there is the one before, or this one. */
export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  await writeDurably(join(directory, NAME), `${JSON.stringify(manifest, null, 2)}\n`)
}

function manifestOf(value: unknown): Manifest {
  const { format, storeId, thread, files } = membersOf(value)
  if (format !== FORMAT) throw invalid(`its format is ${JSON.stringify(format)}, this program knows ${FORMAT}`)
  if (typeof storeId !== 'string' || !Array.isArray(files)) throw invalid('members are missing')
  if (thread !== null && typeof thread !== 'string') throw invalid('its thread is no id')
  if (files.length === 0 || files.length > MAX_FILES) throw invalid(`it names ${files.length} files`)
  return { format, storeId, thread: thread === null ? null : parseThreadId(thread), files: files.map(fileOf) }
}

function fileOf(value: unknown): ManifestFile {
  const { name, bytes, digest, seq, takenAt, threads, logs, records } = membersOf(value)
  // Nothing outside the directory is read.
  if (typeof name !== 'string' || !/^[\w.-]+$/.test(name) || name.startsWith('.'))
    throw invalid('a file has no good name')
  if (typeof digest !== 'string' || typeof takenAt !== 'string') throw invalid(`members of ${name} are missing`)
  const numbers = { bytes, seq, threads, logs, records }
  for (const [member, each] of Object.entries(numbers)) {
    if (!Number.isSafeInteger(each)) throw invalid(`${member} of ${name} is no number`)
  }
  return { name, digest, takenAt, ...(numbers as Record<keyof typeof numbers, number>) }
}

function membersOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw invalid('it is no object')
  return { ...value }
}

function invalid(what: string): ThreadsError {
  return new ThreadsError('INVALID_BACKUP', what)
}
