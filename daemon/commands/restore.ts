import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readDirectory } from '../backup/backup-directory.ts'
import { type PlacedFrame, readBackup } from '../backup/backup-file.ts'
import { restoreRepository } from '../backup/restoration.ts'
import type { Command } from '../commands.ts'
import { plural } from '../plural.ts'
import { SETTINGS } from '../settings.ts'
import { UsageError } from '../usage-error.ts'

const USAGE = `Usage: threadsd restore [-repo DIR] BACKUP
       threadsd restore [-repo DIR] -file FILE

Makes a repository of a backup, while no daemon runs on it. Every record is checked against its hashes, chain and
signature. The host is another one to its peers, unless the file "key" of the old repository is put beside the data.

  -repo   new directory of the data (default ${SETTINGS.repo.default})
  -file   a backup in one file, - for the standard input
`

export const command: Command = {
  help: 'make a repository of a backup',

  async run(args) {
    const { values, positionals } = parseFlags(args)
    const { repo = SETTINGS.repo.default, file, help = false } = values
    if (help) {
      process.stdout.write(USAGE)
      return 0
    }
    const [directory, more] = positionals
    if ((directory === undefined) === (file === undefined) || more !== undefined) {
      throw new UsageError('restore needs either the directory of a backup or -file FILE')
    }
    const frames = directory === undefined ? readFile(file ?? '-') : readDirectory(directory)
    const { threads, logs, records, databases } = await restoreRepository({ repo, frames, report })
    const counts = [plural(threads, 'thread'), plural(databases, 'database'), plural(logs, 'log')]
    process.stdout.write(`${repo}: ${counts.join(', ')}, ${plural(records, 'record')}\n`)
    if (!(await isThere(join(repo, 'key')))) {
      report(`${join(repo, 'key')} is missing: the daemon makes a new one, and is another host to its peers.`)
    }
    return 0
  },
}

function readFile(file: string): AsyncGenerator<PlacedFrame> {
  return file === '-' ? readBackup(process.stdin, 'standard input') : readBackup(createReadStream(file), file)
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Progress goes beside the result. */
function report(line: string): void {
  process.stderr.write(`${line}\n`)
}

type Parsed = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>

const OPTIONS = { repo: { type: 'string' }, file: { type: 'string' }, help: { type: 'boolean' } } as const

/** With one dash or two. */
function parseFlags(args: readonly string[]): Parsed {
  try {
    const doubled = args.map((arg) => arg.replace(/^-(?=[^-])/, '--'))
    return parseArgs({ args: doubled, options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
