import { join } from 'node:path'
import { systemClock } from '../../src/core/clock.ts'
import { randomBytes } from '../../src/core/crypto.ts'
import { hasCode, ThreadsError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { createVerifier, type DatabasesCheck, type DatabaseVerifier } from '../../src/db/index.ts'
import { mendLosses, type ThreadsCheck, verifyThreads } from '../../src/net/index.ts'
import { type Finding, Findings } from '../../src/store/findings.ts'
import { openLevelStore, refuseOpenStore, repairLevelStore } from '../../src/store/level-store.ts'
import { damagedTables, exposeDamages } from '../../src/store/level-tables.ts'
import { type Mendable, mendable } from '../../src/store/mendable.ts'
import { type JournalCheck, mendJournal, mendStamp, verifyJournal } from '../../src/store/verify-journal.ts'
import { readableRows, removeUnreadableKeys, verifyKeys } from '../../src/store/verify-keys.ts'

export interface VerificationOptions {
  /** Directory of the store. Nobody else has it open. */
  readonly location: string
  /** Empty directory for what is folded again. It takes as much room as what that is compared with. */
  readonly scratch: string
  readonly repair: boolean
  /** Is told what is being done. */
  readonly report: (line: string) => void
}

export interface Totals {
  readonly threads: number
  readonly logs: number
  readonly records: number
  /** Records that the read key of their thread does not open: they came so. */
  readonly unreadable: number
  readonly databases: number
  readonly documents: number
  readonly indexEntries: number
  readonly commits: number
  readonly ms: number
}

export interface Outcome {
  /** In the end. */
  readonly agrees: boolean
  readonly repaired: boolean
  /** The first of them, as they were before the repair. */
  readonly findings: readonly Finding[]
  /** How many there are besides. */
  readonly more: number
  /** Of the last look; `undefined` if damaged files kept it from looking. */
  readonly totals: Totals | undefined
}

const MAX_FINDINGS = 1_000

/**
 * Throws STORE_LOCKED, STORE_VERSION, and STORE_CORRUPT or STORE_FAILED if the store cannot be read; with a repair, if it
 * cannot be read after that either.
 */
export async function verifyRepository(options: VerificationOptions): Promise<Outcome> {
  const { location, repair } = options
  await refuseOpenStore({ location })
  const files = await verifyFiles(options)
  if (files.count > 0) {
    if (repair) return await verifyMended(options, files)
    return { agrees: false, repaired: false, findings: files.list, more: files.more, totals: undefined }
  }
  try {
    return await verifyStore(options, undefined)
  } catch (error) {
    if (!repair || !isDamage(error)) throw error
    files.add({ what: error.message })
    return await verifyMended(options, files)
  }
}

/** LevelDB is not to read damaged blocks as good ones. With a repair, it sees them as what they are from here on. */
async function verifyFiles({ location, repair }: VerificationOptions): Promise<Findings> {
  const findings = new Findings({ max: MAX_FINDINGS })
  for await (const table of damagedTables(location)) {
    if (repair) await exposeDamages(location, table)
    if (!table.isInUse) continue
    for (const { what } of table.damages) findings.add({ what: `${table.file}: ${what}` })
  }
  return findings
}

/** `files`: what is wrong with them. */
async function verifyMended(options: VerificationOptions, files: Findings): Promise<Outcome> {
  options.report(`${files.list[0]?.what}. LevelDB puts together what can be read.`)
  await repairLevelStore(options)
  try {
    return await verifyStore(options, files)
  } catch (error) {
    if (!isDamage(error)) throw error
    throw new ThreadsError('STORE_CORRUPT', `LevelDB could not put the store together: ${error.message}`, {
      cause: error,
      hint: 'Restore a backup, or begin with an empty repository and join the databases again.',
    })
  }
}

/** Damage of files that LevelDB itself notices, often by an end that comes too early. */
function isDamage(error: unknown): error is ThreadsError {
  return hasCode(error, 'STORE_CORRUPT') || hasCode(error, 'STORE_FAILED')
}

/** `files`: what was wrong with the files, which LevelDB has put together since. Any row may be missing. */
async function verifyStore(options: VerificationOptions, files: Findings | undefined): Promise<Outcome> {
  const store = await openLevelStore(options)
  const shared = { store: mendable(store), clock: systemClock, logger: silentLogger }
  const verifier = createVerifier(shared)
  const looker = new Looker(shared.store, verifier, options.scratch)
  try {
    if (files !== undefined) await mendStamp(shared.store, randomBytes)
    const first = await looker.look()
    if ((first.findings.count === 0 && files === undefined) || !options.repair)
      return outcomeOf({ first, last: first, files, repaired: false })
    const last = await mend(looker, first, { files, report: options.report })
    return outcomeOf({ first, last, files, repaired: true })
  } finally {
    await verifier.close()
    await store.close()
  }
}

/** Logs first, then what comes of them. Answers how it looks in the end. */
async function mend(
  looker: Looker,
  first: Look,
  { files, report }: { files: Findings | undefined; report: (line: string) => void },
): Promise<Look> {
  let look = first
  if (files !== undefined || first.findingsOfLogs > 0) {
    report('Cutting logs before what is damaged or missing.')
    const { journal, threads } = first
    await removeUnreadableKeys(looker.store)
    await threads.mend()
    // Of files that were put together, nobody knows which rows of which commit they lost.
    const completeFrom =
      files === undefined ? journal.completeFrom : Math.max(journal.lastSeq + 1, journal.completeFrom ?? 0)
    if (completeFrom !== undefined) await mendLosses(looker.store, completeFrom, silentLogger)
    await mendJournal(looker.store, { ...journal, completeFrom })
    look = await looker.look()
  }
  report('Making anew what comes of the records.')
  await look.databases.mend()
  report('Looking again.')
  return looker.look()
}

interface Look {
  readonly findings: Findings
  /** How many of them are of the journal, threads and logs. */
  readonly findingsOfLogs: number
  readonly journal: JournalCheck
  readonly threads: ThreadsCheck
  readonly databases: DatabasesCheck
  readonly ms: number
}

class Looker {
  readonly store: Mendable
  readonly #verifier: DatabaseVerifier
  readonly #scratch: string
  #looks = 0

  constructor(store: Mendable, verifier: DatabaseVerifier, scratch: string) {
    this.store = store
    this.#verifier = verifier
    this.#scratch = scratch
  }

  async look(): Promise<Look> {
    const started = systemClock.nowMs()
    const findings = new Findings({ max: MAX_FINDINGS })
    await verifyKeys(this.store.reads, findings)
    const store = { ...this.store, reads: readableRows(this.store.reads) }
    const journal = await verifyJournal(store.reads, findings)
    const threads = await verifyThreads(store, findings)
    const findingsOfLogs = findings.count
    const scratch = await openLevelStore({ location: join(this.#scratch, `look-${++this.#looks}`) })
    try {
      const databases = await this.#verifier.verify(threads.threads, { scratch, findings })
      return { findings, findingsOfLogs, journal, threads, databases, ms: systemClock.nowMs() - started }
    } finally {
      await scratch.close()
    }
  }
}

function outcomeOf({
  first,
  last,
  files,
  repaired,
}: {
  first: Look
  last: Look
  files: Findings | undefined
  repaired: boolean
}): Outcome {
  const { journal, threads, databases, ms } = last
  return {
    agrees: last.findings.count === 0 && (repaired || files === undefined),
    repaired,
    findings: [...(files?.list ?? []), ...first.findings.list],
    more: (files?.more ?? 0) + first.findings.more,
    totals: {
      threads: threads.threads.length,
      logs: threads.logs,
      records: threads.records,
      unreadable: threads.unreadable,
      databases: databases.databases,
      documents: databases.documents,
      indexEntries: databases.indexEntries,
      commits: journal.commits,
      ms,
    },
  }
}
