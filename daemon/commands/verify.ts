import { access, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Command } from '../commands.ts'
import { plural } from '../plural.ts'
import { SETTINGS } from '../settings.ts'
import { UsageError } from '../usage-error.ts'
import { type Outcome, type Totals, verifyRepository } from '../verify/verification.ts'

const USAGE = `Usage: threadsd verify [-repo DIR] [-repair] [-json]

Reads all that a stopped daemon has stored: checks every record against its hashes, chain and signature, folds all of them
again, and compares documents, histories and indexes. Names what does not agree, one line each.
Ends with exit code 0 if all agrees, or did so after the repair.

  -repo     directory of the data (default ${SETTINGS.repo.default})
  -repair   cut logs before damaged records, which come back from peers, and make everything else anew
  -json     one JSON object in place of lines
`

interface Flags {
  repo?: string
  repair?: boolean
  json?: boolean
  help?: boolean
}

export const command: Command = {
  help: 'check all data of a stopped daemon, and repair it',

  async run(args) {
    const { repo = SETTINGS.repo.default, repair = false, json = false, help = false } = parseFlags(args)
    if (help) {
      process.stdout.write(USAGE)
      return 0
    }
    const location = join(repo, 'store')
    await access(location).catch(() => {
      throw new UsageError(`${repo} is no repository: it has no directory "store"`)
    })
    const scratch = await mkdtemp(join(repo, 'verify-'))
    try {
      const outcome = await verifyRepository({ location, scratch, repair, report })
      process.stdout.write(json ? `${JSON.stringify(outcome)}\n` : textOf(outcome))
      return outcome.agrees ? 0 : 1
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  },
}

/** Progress goes beside the result. */
function report(line: string): void {
  process.stderr.write(`${line}\n`)
}

function textOf({ findings, more, totals, repaired, agrees }: Outcome): string {
  const lines = findings.map(({ thread, log, counter, what }) => {
    const place = [
      ...(thread === undefined ? [] : [`thread ${thread}`]),
      ...(log === undefined ? [] : [`log ${log}`]),
      ...(counter === undefined ? [] : [`record ${counter}`]),
    ]
    return place.length === 0 ? what : `${place.join(' ')}: ${what}`
  })
  if (more > 0) lines.push(`and ${more} more`)
  lines.push(totals === undefined ? 'Documents were not compared: the files are damaged.' : counted(totals))
  const found = findings.length + more
  if (found === 0) lines.push('All agree.')
  else if (!repaired)
    lines.push(`${found} ${found === 1 ? 'does' : 'do'} not agree. -repair mends what records can mend.`)
  else lines.push(agrees ? `${found} did not agree; now all do.` : `${found} did not agree, and some still do not.`)
  return `${lines.join('\n')}\n`
}

function counted({ threads, logs, records, unreadable, ...rest }: Totals): string {
  const parts = [
    plural(threads, 'thread'),
    plural(logs, 'log'),
    `${plural(records, 'record')} (${unreadable} not readable with the read key)`,
    plural(rest.databases, 'database'),
    plural(rest.documents, 'document'),
    plural(rest.indexEntries, 'index entry', 'index entries'),
    plural(rest.commits, 'commit'),
  ]
  return `${parts.join(', ')} in ${(rest.ms / 1000).toFixed(1)} s`
}

/** With one dash or two. */
function parseFlags(args: readonly string[]): Flags {
  const boolean = { type: 'boolean' } as const
  const options = { repo: { type: 'string' }, repair: boolean, json: boolean, help: boolean } as const
  try {
    return parseArgs({ args: args.map((arg) => arg.replace(/^-(?=[^-])/, '--')), options }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
