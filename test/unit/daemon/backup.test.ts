/** Backups in files and directories. */
import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { addBackup, readDirectory } from '../../../daemon/backup/backup-directory.ts'
import { BackupWriter, type PlacedFrame, readBackup } from '../../../daemon/backup/backup-file.ts'
import type { BackupSource } from '../../../daemon/backup/copy-backup.ts'
import { readManifest } from '../../../daemon/backup/manifest.ts'
import { restoreRepository } from '../../../daemon/backup/restoration.ts'
import { verifyRepository } from '../../../daemon/verify/verification.ts'
import { ThreadsError } from '../../../src/core/errors.ts'
import type { Database } from '../../../src/db/index.ts'
import type { BackupFrame } from '../../../src/net/index.ts'
import { openLevelStore } from '../../../src/store/level-store.ts'
import { framesOf, openStory, recordsIn, restored, sourceOf } from '../../support/backups.ts'
import type { ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, newNotes } from '../../support/notes.ts'

const ALL = { thread: undefined }

let root: string
let host: TestHost
let peer: TestHost
let database: Database
let foreign: ForeignLog
let source: BackupSource
let directory: string
let directories = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'threads-backup-'))
  host = await startHost({ net: { pull: false } })
  peer = await startHost()
  ;({ database, foreign } = await openStory(host, peer))
  source = sourceOf(host)
}, 60_000)

afterAll(async () => {
  await host[Symbol.asyncDispose]()
  await peer[Symbol.asyncDispose]()
  await rm(root, { recursive: true, force: true })
})

beforeEach(() => {
  directory = join(root, `backup-${directories++}`)
})

async function* unplaced(placed: AsyncIterable<PlacedFrame>): AsyncGenerator<BackupFrame> {
  for await (const { frame } of placed) yield frame
}

/** What is made of a directory. */
async function rowsOf(from: string = directory): Promise<Map<string, string>> {
  return recordsIn(await restored(unplaced(readDirectory(from))))
}

/** What is made of a backup taken now. */
async function rowsNow(): Promise<Map<string, string>> {
  return recordsIn(await restored(host.net.backup()))
}

async function fileOf(index: number): Promise<string> {
  const name = (await readManifest(directory))?.files.at(index)?.name
  if (name === undefined) throw new Error('there is no such file')
  return join(directory, name)
}

async function write(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await database.collection('Note').save([bytesOf({ _id: 'n1', name: `w${i}` })])
}

describe('a directory', () => {
  it('that grew is the same as a whole backup', async () => {
    await addBackup(directory, source, ALL)
    expect(await rowsOf()).toEqual(await rowsNow())
    for (const count of [5, 0, 1]) {
      await write(count)
      const { records } = await addBackup(directory, source, ALL)
      expect(records).toBe(count)
      expect(await rowsOf()).toEqual(await rowsNow())
    }
  })

  it('follows new and deleted databases, and logs that go on in two ways', async () => {
    await addBackup(directory, source, ALL)
    const other = await newNotes(host, [{ _id: 'other' }])
    await addBackup(directory, source, ALL)
    expect(await rowsOf()).toEqual(await rowsNow())
    await host.databases.delete(other.database.id)
    const record = foreign.record([{ type: 'save', id: 'n4', patch: '{"_id": "n4", "more": 1}' }])
    await host.net.addRecord(database.id, foreign.id, record)
    const third = await newNotes(host, [{ _id: 'third' }])
    await addBackup(directory, source, ALL)
    expect(host.net.listThreads()).toHaveLength(2)
    // A restore numbers threads anew.
    expect([...(await rowsOf()).keys()].toSorted()).toEqual([...(await rowsNow()).keys()].toSorted())
    await host.databases.delete(third.database.id)
  })

  it('takes a log whole that is not what it was: what it had before does not count', async () => {
    await addBackup(directory, source, ALL)
    await write(2)
    // Says that it knows another head than there is.
    const forgetful: BackupSource = {
      backup: ({ known }) => {
        const wrong = known.map((chain) => ({ ...chain, head: chain.head.toReversed() }))
        return host.net.backup({ known: wrong })
      },
    }
    const { records } = await addBackup(directory, forgetful, ALL)
    expect(records).toBeGreaterThan(20)
    expect(await rowsOf()).toEqual(await rowsNow())
    await write(1)
    expect(await addBackup(directory, source, ALL)).toMatchObject({ records: 1 })
    expect(await rowsOf()).toEqual(await rowsNow())
  })

  it('of one database takes no other', async () => {
    await addBackup(directory, source, { thread: database.id })
    await expect(addBackup(directory, source, ALL)).rejects.toMatchObject({
      code: 'INVALID_BACKUP',
      message: expect.stringContaining(database.id),
    })
    await addBackup(directory, source, { thread: database.id })
    expect((await readManifest(directory))?.files).toHaveLength(2)
  })

  it('takes no backup of another host', async () => {
    await addBackup(directory, source, ALL)
    await expect(addBackup(directory, sourceOf(peer), ALL)).rejects.toThrow(/another store/)
    expect(await rowsOf()).toEqual(await rowsNow())
  })

  it('with something else in it is refused', async () => {
    await addBackup(directory, source, ALL)
    await rm(join(directory, 'manifest.json'))
    await writeFile(join(directory, 'letter.txt'), 'dear')
    await expect(addBackup(directory, source, ALL)).rejects.toThrow(/not empty: it holds .*letter\.txt/)
  })

  it('is begun where a first backup was cut off before its manifest was there', async () => {
    await addBackup(directory, source, ALL)
    await rm(join(directory, 'manifest.json'))
    await addBackup(directory, source, ALL)
    expect((await readManifest(directory))?.files).toHaveLength(1)
    expect(await rowsOf()).toEqual(await rowsNow())
  })

  it.runIf(process.platform === 'linux')('is read without keeping its files open', async () => {
    for (let count = 0; count < 3; count++) await addBackup(directory, source, ALL)
    await rowsOf()
    const open = await readdir('/proc/self/fd')
    const paths = await Promise.all(open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
    expect(paths.filter((path) => path.startsWith(directory))).toEqual([])
  })

  it('keeps its keys to its owner', async () => {
    await addBackup(directory, source, ALL)
    for (const name of ['.', ...(await readdir(directory))]) {
      expect((await stat(join(directory, name))).mode & 0o077).toBe(0)
    }
  })
})

describe('a backup that is cut off', () => {
  /** A daemon that is gone after some frames. */
  function gone(frames: number): BackupSource {
    return {
      async *backup({ known }) {
        let count = 0
        for await (const frame of host.net.backup({ known })) {
          if (count++ === frames) throw new ThreadsError('PEER_UNREACHABLE', 'the daemon is gone')
          yield frame
        }
      },
    }
  }

  it('leaves the one before as it was, wherever the daemon was lost', async () => {
    await addBackup(directory, source, ALL)
    const files = await readdir(directory)
    const before = await rowsOf()
    const known = framesOf(await Array.fromAsync(host.net.backup()), 'log').flatMap(({ chain }) => chain ?? [])
    await write(1)
    const count = (await Array.fromAsync(host.net.backup({ known }))).length
    for (let frames = 0; frames < count; frames++) {
      await expect(addBackup(directory, gone(frames), ALL)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    }
    expect(await readdir(directory)).toEqual(files)
    expect(await rowsOf()).toEqual(before)
  })

  it('by a daemon that sends no end is none', async () => {
    const short: BackupSource = {
      async *backup() {
        for await (const frame of host.net.backup()) if (frame.$case !== 'end') yield frame
      },
    }
    await expect(addBackup(directory, short, ALL)).rejects.toThrow(/no end/)
    expect(await readdir(directory)).toEqual([])
  })

  it('of a damaged host is none', async () => {
    const damaged: BackupSource = {
      async *backup() {
        for await (const frame of host.net.backup()) {
          if (frame.$case !== 'records') yield frame
          else yield { $case: 'records', value: { ...frame.value, records: frame.value.records.toReversed() } }
        }
      },
    }
    await expect(addBackup(directory, damaged, ALL)).rejects.toMatchObject({ code: 'INVALID_BACKUP' })
  })

  it('by the end of its process is cleared away by the next one', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'close')
    await addBackup(directory, source, ALL)
    await writeFile(join(directory, `new.${child.pid}.partial`), 'half')
    await writeFile(join(directory, `new.${process.ppid}.partial`), 'of one that runs')
    await addBackup(directory, source, ALL)
    const left = (await readdir(directory)).filter((name) => name.endsWith('.partial'))
    expect(left).toEqual([`new.${process.ppid}.partial`])
  })
})

describe('a damaged file', () => {
  let bytes: Uint8Array

  beforeAll(async () => {
    const parts: Uint8Array[] = []
    const writer = new BackupWriter({ write: async (part) => void parts.push(part) })
    for await (const frame of host.net.backup()) await writer.write(frame)
    bytes = Buffer.concat(parts)
    expect(writer.bytes).toBe(bytes.length)
  })

  async function read(given: Uint8Array): Promise<number> {
    let count = 0
    for await (const _ of readBackup(pieces(given), 'file')) count++
    return count
  }

  async function* pieces(given: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < given.length; at += 1000) yield given.subarray(at, at + 1000)
  }

  it('with any byte changed is refused, and the message says where', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const changed = bytes.map((byte, index) => (index === at ? byte ^ change : byte))
        await expect(read(changed)).rejects.toMatchObject({
          code: 'INVALID_BACKUP',
          message: expect.stringMatching(/^file/),
        })
      }),
      { numRuns: 200 },
    )
  })

  it('cut short anywhere is refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), async (end) => {
        await expect(read(bytes.subarray(0, end))).rejects.toMatchObject({ code: 'INVALID_BACKUP' })
      }),
      { numRuns: 200 },
    )
  })

  it('with something behind its end is refused', async () => {
    await expect(read(Buffer.concat([bytes, Uint8Array.of(0)]))).rejects.toThrow(/behind its end/)
  })

  it('that promises a large frame is not waited for', async () => {
    const start = bytes.subarray(0, 17)
    const frame = (tag: number) =>
      Buffer.concat([start, Uint8Array.of(0x7f, 0xff, 0xff, 0xff, tag), new Uint8Array(100)])
    await expect(read(frame(0x12))).rejects.toThrow(/byte 17: a frame is larger/)
    await expect(read(frame(0x2a))).rejects.toThrow(/byte 17: a frame is larger/)
  })
})

describe('a damaged directory', () => {
  it.each<[string, () => Promise<void>, RegExp]>([
    ['a file that is missing', async () => rm(await fileOf(0)), /000001-.*: it is missing/],
    ['a file cut short', async () => truncate(await fileOf(0), 5_000), /000001-.*, byte \d+: it is cut short/],
    ['a file that went on', async () => appendFile(await fileOf(1), 'x'), /000002-.*: there is something behind/],
    [
      'a file in the place of another',
      async () => copyFile(await fileOf(1), await fileOf(0)),
      /earlier files|another file/,
    ],
    [
      'a manifest that is none',
      async () => writeFile(join(directory, 'manifest.json'), '{'),
      /manifest\.json: it is no JSON/,
    ],
    [
      'a manifest without files',
      async () => changeManifest((text) => text.replace(/"files": \[.*\]/s, '"files": []')),
      /names 0 files/,
    ],
    [
      'a manifest that leads elsewhere',
      async () => changeManifest((text) => text.replace('"name": "', '"name": "../')),
      /no good name/,
    ],
    [
      'a newer manifest',
      async () => changeManifest((text) => text.replace('"format": 1', '"format": 2')),
      /format is 2/,
    ],
    ['no manifest', async () => rm(join(directory, 'manifest.json')), /no manifest\.json/],
  ])('%s is told by its name', async (_title, damage, message) => {
    await addBackup(directory, source, ALL)
    await write(1)
    await addBackup(directory, source, ALL)
    await damage()
    await expect(rowsOf()).rejects.toMatchObject({ code: 'INVALID_BACKUP', message: expect.stringMatching(message) })
  })

  async function changeManifest(change: (text: string) => string): Promise<void> {
    const path = join(directory, 'manifest.json')
    const before = await readFile(path, 'utf8')
    const after = change(before)
    expect(after).not.toBe(before)
    await writeFile(path, after)
  }
})

describe('a repository made of a backup', () => {
  const restore = (repo: string, from = directory) =>
    restoreRepository({ repo, frames: readDirectory(from), report: () => {} })

  it('agrees with itself', async () => {
    await addBackup(directory, source, ALL)
    await write(3)
    await addBackup(directory, source, ALL)
    const repo = join(root, `repo-${directories}`)
    expect(await restore(repo)).toMatchObject({ threads: 1, databases: 1 })
    const scratch = await mkdtemp(join(root, 'verify-'))
    const outcome = await verifyRepository({ location: join(repo, 'store'), scratch, repair: false, report: () => {} })
    expect(outcome).toMatchObject({ agrees: true, findings: [] })
    expect(outcome.totals?.documents).toBeGreaterThan(10)
    expect(outcome.totals?.indexEntries).toBeGreaterThan(0)
  })

  it('is made of nothing that holds data, and says what is there', async () => {
    await addBackup(directory, source, ALL)
    const repo = join(root, `repo-${directories}`)
    await restore(repo)
    await expect(restore(repo)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('with 1 thread'),
    })
  })

  it('is not left half: a failure names file and place, and the next restore succeeds', async () => {
    await addBackup(directory, source, ALL)
    const repo = join(root, `repo-${directories}`)
    const good = await readFile(await fileOf(0))
    await truncate(await fileOf(0), good.length - 100)
    await expect(restore(repo)).rejects.toThrow(/000001-.*, byte \d+: it is cut short/)
    expect(await readdir(repo)).toEqual([])
    await writeFile(await fileOf(0), good)
    await restore(repo)
  })

  it('cut off by the end of the process is refused, and begun anew by the next restore', async () => {
    await addBackup(directory, source, ALL)
    const repo = join(root, `repo-${directories}`)
    const location = join(repo, 'store')
    await mkdir(repo)
    const store = await openLevelStore({ location })
    const some = (await Array.fromAsync(host.net.backup())).slice(0, -1)
    await expect(restored(some, store)).rejects.toThrow(/no end/)
    await store.close()
    const scratch = await mkdtemp(join(root, 'verify-'))
    const look = verifyRepository({ location, scratch, repair: false, report: () => {} })
    await expect(look).rejects.toThrow(/cut off/)
    await restore(repo)
  })
})

it('a file is read from a stream', async () => {
  await addBackup(directory, source, ALL)
  const path = await fileOf(0)
  const rows = await recordsIn(await restored(unplaced(readBackup(createReadStream(path), path))))
  expect(rows).toEqual(await rowsOf())
})
