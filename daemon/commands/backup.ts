import { parseArgs } from 'node:util'
import { parseThreadId, type ThreadId } from '../../src/core/thread-id.ts'
import type { BackupFrame } from '../../src/net/index.ts'
import { addBackup } from '../backup/backup-directory.ts'
import { BackupWriter, type ByteSink, fileSink } from '../backup/backup-file.ts'
import { type CopiedBackup, copyBackup } from '../backup/copy-backup.ts'
import { makeDurably } from '../backup/durable-file.ts'
import type { Command } from '../commands.ts'
import { clientOf } from '../daemon-access.ts'
import { plural } from '../plural.ts'
import { SETTINGS } from '../settings.ts'
import { UsageError } from '../usage-error.ts'

const USAGE = `Usage: threadsd backup [-apiAddr ADDRESS] [-repo REPO] [-db ID] DIR
       threadsd backup [-apiAddr ADDRESS] [-repo REPO] [-db ID] -file FILE

Takes a backup of a daemon while it serves: all databases with their keys and records, not the key of the host. Into a
directory only what is new is added. Keep backups secret: they hold the keys of the databases. The settings of the daemon
say how it is called; if it answers to few, the key in its repository is used, so run this as its user.

  -apiAddr   gRPC address of the daemon (default ${SETTINGS.apiAddr.default})
  -repo      repository of the daemon (default ${SETTINGS.repo.default})
  -db        this database only
  -file      one file with all, - for the standard output
`

interface Settings {
  /** As those of the daemon. */
  readonly flags: Readonly<Record<string, string>>
  readonly thread: ThreadId | undefined
  readonly target: { readonly directory: string } | { readonly file: string }
}

export const command: Command = {
  help: 'take a backup of a daemon while it serves',

  async run(args) {
    const settings = readArguments(args)
    if (settings === undefined) {
      process.stdout.write(USAGE)
      return 0
    }
    const { flags, thread, target } = settings
    using source = await clientOf(flags)
    if ('directory' in target) {
      const { name, ...added } = await addBackup(target.directory, source, { thread })
      tell(`${target.directory}: ${name}`, added)
    } else {
      const copied = await copyToFile(target.file, source.backup({ thread, known: [] }))
      tell(target.file === '-' ? 'standard output' : target.file, copied)
    }
    return 0
  },
}

/** Beside what goes to the standard output. */
function tell(
  where: string,
  { threads, logs, records, bytes, seq }: Omit<CopiedBackup, 'storeId'> & { bytes: number },
): void {
  const counts = [plural(threads, 'thread'), plural(logs, 'log'), plural(records, 'new record')]
  const size = `${(bytes / 1e6).toFixed(1)} MB`
  process.stderr.write(`${where}: ${counts.join(', ')}, ${size}, up to commit ${seq}\n`)
}

/** Answers also how many bytes it has. */
function copyToFile(file: string, frames: AsyncIterable<BackupFrame>): Promise<CopiedBackup & { bytes: number }> {
  const copyTo = async (sink: ByteSink): Promise<CopiedBackup & { bytes: number }> => {
    const writer = new BackupWriter(sink)
    const copied = await copyBackup(frames, writer, { held: [], storeId: undefined })
    return { ...copied, bytes: writer.bytes }
  }
  if (file === '-') return copyTo(standardOutput)
  return makeDurably(file, async (handle) => ({ path: file, result: await copyTo(fileSink(handle)) }))
}

const standardOutput: ByteSink = {
  write: (bytes) =>
    new Promise((resolve, reject) => {
      process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))
    }),
}

/** `undefined` if help was asked for. */
function readArguments(args: readonly string[]): Settings | undefined {
  const { values, positionals } = parseFlags(args)
  const { apiAddr, repo, db, file, help = false } = values
  if (help) return undefined
  const [directory, more] = positionals
  if ((directory === undefined) === (file === undefined) || more !== undefined) {
    throw new UsageError('backup needs either DIR or -file FILE')
  }
  const thread = db === undefined ? undefined : parseThreadId(db)
  const target = directory === undefined ? { file: file ?? '-' } : { directory }
  const flags = { ...(apiAddr === undefined ? {} : { apiAddr }), ...(repo === undefined ? {} : { repo }) }
  return { flags, thread, target }
}

type Parsed = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>

const OPTIONS = {
  apiAddr: { type: 'string' },
  repo: { type: 'string' },
  db: { type: 'string' },
  file: { type: 'string' },
  help: { type: 'boolean' },
} as const

/** With one dash or two. */
function parseFlags(args: readonly string[]): Parsed {
  try {
    const doubled = args.map((arg) => arg.replace(/^-(?=[^-])/, '--'))
    return parseArgs({ args: doubled, options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
