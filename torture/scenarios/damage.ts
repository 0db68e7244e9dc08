import { cp, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { startDaemon, type TestDaemon } from '../../test/support/daemon.ts'
import { between, clientOf, command, eventually, type Scenario, share, using, verified } from '../scenario.ts'
import { Workload } from '../workload.ts'

const WRITES = 1_000
/** Files that LevelDB takes for data. */
const DATA = /\.(ldb|log)$|^(CURRENT|MANIFEST-\d+)$/
/** A daemon may write what it reads of such a table into others, which do not tell then. So it gets a copy of its own. */
const SPREADS = /\.ldb with a bit turned/
/** What LevelDB says when it ends the process, as rows of a damaged table stand out of order. */
const LEVELDB_GAVE_UP = /leveldb.*Assertion/

export const damagedFiles: Scenario = {
  title: 'files cut short and with bits turned; verify, repair, and a peer that has everything',
  async run(context) {
    await using keeper = await startDaemon()
    const repo = `${context.directory}/good`
    const workload = new Workload('damage')
    const id = await fill(keeper, repo, workload)
    const outcomes = new Map<string, number>()
    for (let round = 0; round < 4 * context.rounds; round++) {
      const damaged = `${context.directory}/damaged-${round}`
      await cp(repo, damaged, { recursive: true })
      const what = await damage(`${damaged}/store`)
      const tried = SPREADS.test(what) ? `${damaged}-tried` : damaged
      if (tried !== damaged) await cp(damaged, tried, { recursive: true })
      const before = await answers(tried, id, workload)
      const outcome = `${before}; ${await mended(damaged, { id, keeper, workload })}`
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      context.say(`${what}: ${outcome}`)
    }
    for (const [outcome, count] of outcomes) context.say(`${count} times: ${outcome}`)
  },
}

/** A repository of a daemon that shared all it has, and was killed. */
async function fill(keeper: TestDaemon, repo: string, workload: Workload): Promise<Uint8Array> {
  await using daemon = await startDaemon({ repo })
  const id = await share(daemon, keeper)
  const writing = using(daemon, id, (database) => workload.run(database))
  await workload.progress(WRITES)
  const ending = daemon.kill('SIGKILL')
  await writing
  await ending
  await daemon.restart()
  await using(daemon, id, (database) => workload.check(database))
  await eventually(() => using(keeper, id, (database) => workload.check(database)))
  await daemon.kill(between(0, 1) === 0 ? 'SIGTERM' : 'SIGKILL')
  return id
}

async function damage(store: string): Promise<string> {
  const names = (await readdir(store)).filter((name) => DATA.test(name))
  const name = names[between(0, names.length - 1)] ?? 'CURRENT'
  const path = `${store}/${name}`
  const bytes = await readFile(path)
  if (bytes.length === 0) return `${name} is empty anyway`
  const at = between(0, bytes.length - 1)
  if (between(0, 1) === 0) {
    await truncate(path, at)
    return `${name} cut after ${at} of ${bytes.length} bytes`
  }
  bytes[at] = (bytes[at] ?? 0) ^ (1 << between(0, 7))
  await writeFile(path, bytes)
  return `${name} with a bit turned at ${at} of ${bytes.length}`
}

interface Shared {
  readonly id: Uint8Array
  readonly keeper: TestDaemon
  readonly workload: Workload
}

/** A repair ends with agreement, and a daemon is whole again after it. */
async function mended(repo: string, { id, keeper, workload }: Shared): Promise<string> {
  const { code, output } = await command('verify', '-repo', repo, '-repair')
  if (code !== 0) throw new Error(`not repaired (${code}): ${output.slice(0, 2_000)}`)
  await verified(repo)
  await using daemon = await startDaemon({ repo })
  const known = await eventuallyKnown(daemon, { id, keeper })
  await eventually(() => using(daemon, id, (database) => workload.check(database)))
  return `after the repair ${known} from its peer`
}

/** A daemon on damaged files is right as far as it answers. */
async function answers(repo: string, id: Uint8Array, workload: Workload): Promise<string> {
  let daemon: TestDaemon
  try {
    daemon = await startDaemon({ repo, flags: { disableNetPulling: true } })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    if (LEVELDB_GAVE_UP.test(message)) return 'ended by LevelDB'
    if (!/repair|damaged|corrupt/i.test(message)) throw error
    return 'refused to start'
  }
  await using _ = daemon
  try {
    const lost = await using(daemon, id, (database) => workload.checkUpToSomeEnd(database))
    return lost === 0 ? 'all there' : 'its end lost, the rest right'
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `refused to answer (${error.message.slice(0, 80)})`
    throw error
  } finally {
    await daemon.kill()
  }
}

/** The thread may have been lost with its keys: then it is joined anew. */
async function eventuallyKnown(
  daemon: TestDaemon,
  { id, keeper }: { id: Uint8Array; keeper: TestDaemon },
): Promise<string> {
  try {
    await using(daemon, id, (database) => database.invitation())
    return 'what was missing came'
  } catch {
    const invitation = await using(keeper, id, (database) => database.invitation())
    await using client = clientOf(daemon)
    await client.join(invitation)
    return 'the database, which was lost with its keys, came'
  }
}
