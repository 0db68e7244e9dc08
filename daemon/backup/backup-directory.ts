/**
 * Backups that build on each other, in one directory. Each is a file: rows of all threads, logs and peers as they were
 * then, and the records that were new. A log that is not what it was before comes whole again; records of earlier files do
 * not count for it any more.
 */
import { createReadStream } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { toHex } from '../../src/core/bytes.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import { type BackupChain, chainName } from '../../src/net/index.ts'
import { BackupWriter, damaged, fileSink, type PlacedFrame, readBackup } from './backup-file.ts'
import { type BackupSource, copyBackup } from './copy-backup.ts'
import { makeDurably, PARTIAL } from './durable-file.ts'
import { type Manifest, type ManifestFile, MAX_FILES, newManifest, readManifest, writeManifest } from './manifest.ts'

/** Known chains sent along, the longest: so many fit one message. The others come whole again. */
const MAX_KNOWN = 30_000
const MAX_NAMES = 5
/** Such files without a manifest are left of a first backup that was cut off. */
const FILE_NAME = /^\d{6}-[0-9a-f]{16}\.backup$/

/** Adds what is new since the last backup in a directory, or begins one. Throws INVALID_BACKUP if it holds something else. */
export async function addBackup(
  directory: string,
  source: BackupSource,
  { thread }: { thread: ThreadId | undefined },
): Promise<ManifestFile> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const before = await readManifest(directory)
  if (before === undefined) await refuseOtherFiles(directory)
  else refuseOtherScope(directory, before, thread)
  const held = await chainsIn(directory, before?.files.at(-1))
  const known = held.toSorted((a, b) => Number(b.counter - b.base) - Number(a.counter - a.base)).slice(0, MAX_KNOWN)

  const { storeId, ...added } = await makeDurably(join(directory, 'new'), async (handle) => {
    const writer = new BackupWriter(fileSink(handle))
    const frames = source.backup({ thread, known })
    const copied = await copyBackup(frames, writer, { held, storeId: before?.storeId })
    const { bytes, digest } = writer
    const name = `${String((before?.files.length ?? 0) + 1).padStart(6, '0')}-${digest.slice(0, 16)}.backup`
    return { path: join(directory, name), result: { name, bytes, digest, ...copied } }
  })
  await refuseOtherBackup(directory, before)
  const manifest = before ?? newManifest(storeId, thread)
  await writeManifest(directory, { ...manifest, files: [...manifest.files, added] })
  return added
}

/** The whole of a directory, as one backup. Throws INVALID_BACKUP. */
export async function* readDirectory(directory: string): AsyncGenerator<PlacedFrame> {
  const manifest = await readManifest(directory)
  const last = manifest?.files.at(-1)
  if (manifest === undefined || last === undefined) throw damaged(directory, 'it has no manifest.json, so no backup')
  const starts = await firstFiles(directory, manifest)
  for await (const { frame, ...where } of rowsIn(directory, last)) {
    if (frame.$case === 'log' && frame.value.chain !== undefined) {
      // With those of the earlier files all records follow.
      yield { ...where, frame: { $case: 'log', value: { ...frame.value, after: frame.value.chain.base } } }
    } else yield { ...where, frame }
  }
  for (const [index, file] of manifest.files.entries()) {
    for await (const placed of framesIn(directory, file)) {
      const { frame, place, digest } = placed
      if (frame.$case === 'records') {
        const start = starts.get(chainName(frame.value))
        if (start !== undefined && start <= index) yield placed
      }
      if (frame.$case !== 'end') continue
      if (digest !== file.digest) throw damaged(place, 'it is another file than manifest.json names')
      if (file === last) yield placed
    }
  }
}

/** For each chain the first file whose records count. Chains that are gone are not among them. */
async function firstFiles(directory: string, { storeId, files }: Manifest): Promise<Map<string, number>> {
  let starts = new Map<string, number>()
  for (const [index, file] of files.entries()) {
    const next = new Map<string, number>()
    for await (const { frame, place } of rowsIn(directory, file)) {
      if (frame.$case === 'begin' && toHex(frame.value.storeID) !== storeId) {
        throw damaged(place, 'it is a backup of another store')
      }
      if (frame.$case !== 'log' || frame.value.chain === undefined) continue
      const { chain, after } = frame.value
      const name = chainName(chain)
      const start = after === chain.base ? index : starts.get(name)
      if (start === undefined) throw damaged(place, 'records are missing that earlier files should have')
      next.set(name, start)
    }
    starts = next
  }
  return starts
}

async function chainsIn(directory: string, file: ManifestFile | undefined): Promise<BackupChain[]> {
  const chains: BackupChain[] = []
  if (file === undefined) return chains
  for await (const { frame } of rowsIn(directory, file)) {
    if (frame.$case === 'log' && frame.value.chain !== undefined) chains.push(frame.value.chain)
  }
  return chains
}

/** What comes before the records. */
async function* rowsIn(directory: string, file: ManifestFile): AsyncGenerator<PlacedFrame> {
  for await (const placed of framesIn(directory, file)) {
    const { $case } = placed.frame
    if ($case === 'records' || $case === 'end') return
    yield placed
  }
}

async function* framesIn(directory: string, { name }: ManifestFile): AsyncGenerator<PlacedFrame> {
  const path = join(directory, name)
  try {
    yield* readBackup(createReadStream(path), path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw damaged(path, 'it is missing', error)
    throw error
  }
}

async function refuseOtherFiles(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => !name.endsWith(PARTIAL) && !FILE_NAME.test(name))
  if (names.length === 0) return
  const more = names.length > MAX_NAMES ? ', …' : ''
  const what = `it is no backup, and not empty: it holds ${names.toSorted().slice(0, MAX_NAMES).join(', ')}${more}`
  throw new ThreadsError('INVALID_BACKUP', `${directory}: ${what}`, { hint: 'Name a new directory.' })
}

function refuseOtherScope(directory: string, manifest: Manifest, thread: ThreadId | undefined): void {
  const hint = 'Name a new directory.'
  if (manifest.thread !== (thread ?? null)) {
    const what = manifest.thread === null ? 'all databases' : `the database ${manifest.thread}`
    throw new ThreadsError('INVALID_BACKUP', `${directory}: it is a backup of ${what}`, { hint })
  }
  if (manifest.files.length >= MAX_FILES) {
    throw new ThreadsError('INVALID_BACKUP', `${directory}: it has ${MAX_FILES} files, and takes no more`, { hint })
  }
}

/** Two at once would each leave out what the other added. */
async function refuseOtherBackup(directory: string, before: Manifest | undefined): Promise<void> {
  const now = await readManifest(directory)
  if (now?.files.at(-1)?.digest === before?.files.at(-1)?.digest) return
  throw new ThreadsError('INVALID_BACKUP', `${directory}: another backup was added meanwhile`)
}
