import { parseArgs } from 'node:util'
import { DaemonClient } from '../../src/client/node/index.ts'
import { parseThreadId, type ThreadId } from '../../src/core/thread-id.ts'
import type { Command } from '../commands.ts'
import { awaitRecords, compareAll, itemsOf, joinAll, type Outcome } from '../migrate/migration.ts'
import { UsageError } from '../usage-error.ts'

const USAGE = `Usage: threadsd migrate -from HOST:PORT -to HOST:PORT [-threads ID,ID...] [-check]

Has the daemon at -to join every database of the daemon at -from, waits until both have the same records, and compares
the heads of all logs. Either may be a daemon of go-threads. Can be run again at any time.
Ends with exit code 0 if all are the same.

  -from      gRPC port of the daemon that has the databases
  -to        gRPC port of the daemon that is to have them
  -threads   threads that are no databases, which daemons do not list
  -check     compare only
`

interface Settings {
  readonly from: string
  readonly to: string
  readonly threads: readonly ThreadId[]
  readonly check: boolean
}

export const command: Command = {
  help: 'have one daemon join the databases of another, and compare both',

  async run(args) {
    const settings = readArguments(args)
    if (settings === undefined) {
      process.stdout.write(USAGE)
      return 0
    }
    const outcomes = await migrate(settings)
    const same = outcomes.filter((each) => each.same).length
    process.stdout.write(tableOf(outcomes))
    process.stdout.write(`${same} of ${outcomes.length} are the same.\n`)
    if (same === outcomes.length) return 0
    process.stdout.write('Heads also differ while clients write; compare again with -check when they have stopped.\n')
    return 1
  },
}

async function migrate(settings: Settings): Promise<Outcome[]> {
  using from = new DaemonClient(settings.from)
  using to = new DaemonClient(settings.to)
  const sides = { from, to }
  const [source, target] = [await from.hostId(), await to.hostId()]
  if (source === target) throw new UsageError('-from and -to are the same daemon')
  const items = await itemsOf(from, settings.threads)
  if (settings.check) return await compareAll(sides, items)
  const failures = await joinAll(sides, items, report)
  await awaitRecords(
    sides,
    items.filter(({ id }) => !failures.has(id)),
    report,
  )
  const outcomes = await compareAll(sides, items)
  return outcomes.map((outcome) => ({ ...outcome, reason: failures.get(outcome.item.id) ?? outcome.reason }))
}

/** Progress goes beside the table. */
function report(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** `undefined` if help was asked for. */
function readArguments(args: readonly string[]): Settings | undefined {
  const { from, to, threads = '', check = false, help = false } = parseFlags(args)
  if (help) return undefined
  if (from === undefined || to === undefined) throw new UsageError('migrate needs -from HOST:PORT and -to HOST:PORT')
  return { from, to, check, threads: threads.split(',').filter(Boolean).map(parseThreadId) }
}

interface Flags {
  from?: string
  to?: string
  threads?: string
  check?: boolean
  help?: boolean
}

/** With one dash or two. */
function parseFlags(args: readonly string[]): Flags {
  const text = { type: 'string' } as const
  const boolean = { type: 'boolean' } as const
  const options = { from: text, to: text, threads: text, check: boolean, help: boolean }
  try {
    return parseArgs({ args: args.map((arg) => arg.replace(/^-(?=[^-])/, '--')), options }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function tableOf(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ item, logs, records, same, reason }) => [
    item.id,
    item.name ?? '(no database)',
    String(logs),
    String(records),
    same ? 'same' : `differs: ${reason}`,
  ])
  const table = [['database', 'name', 'logs', 'records', 'result'], ...rows]
  const widths = [0, 1, 2, 3, 4].map((at) => (at === 4 ? 0 : Math.max(...table.map((row) => row[at]?.length ?? 0))))
  return table.map((row) => `${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}\n`).join('')
}
