/** What belongs to each kind of target. */
import { join } from 'node:path'
import { randomBytes } from '../src/core/crypto.ts'
import { generateKey } from '../src/core/keys.ts'
import { startDaemon } from '../test/support/daemon.ts'
import { connect } from './api-target.ts'
import { type Bounds, daemonBounds, embeddedBounds } from './bounds.ts'
import { idOf, person } from './document.ts'
import { openEmbedded } from './embedded-target.ts'
import type { Limits } from './limits/limits.ts'
import { type Figure, type Row, timer } from './measure.ts'
import { cpuOf } from './processes.ts'
import { idleCpu } from './rows/idle.ts'
import { latencyFigures } from './rows/latency.ts'
import { readRows } from './rows/reads.ts'
import { replicationRows } from './rows/replication.ts'
import { writeRows } from './rows/writes.ts'
import type { Target } from './target.ts'

const WARM_MS = 1_000

export interface Sweep {
  /** Directory for what is written. */
  readonly directory: string
  readonly limits: Limits
  /** Documents of a replication. */
  readonly replicated: number
  /** Threads that two daemons share while nothing happens; 0 for no such row. */
  readonly idleThreads: number
  /** Whether latencies are measured. */
  readonly hasLatencies: boolean
  /** Measures rows; those it is not asked for it leaves out. */
  measure(rows: readonly Row[]): AsyncIterable<Figure>
}

/** Hosts in this process. */
export async function* sweepEmbedded(sweep: Sweep): AsyncGenerator<Figure> {
  await using first = await openEmbedded(join(sweep.directory, 'first'), generateKey(randomBytes))
  await using second = await openEmbedded(join(sweep.directory, 'second'), generateKey(randomBytes))
  const bounds = embeddedBounds(sweep.limits)
  yield* sweepTarget(first, bounds, sweep)
  yield* sweepPair([first, second], bounds, sweep)
}

/** Daemons of ours, in processes of their own. */
export async function* sweepDaemons(sweep: Sweep): AsyncGenerator<Figure> {
  await using first = await startDaemon()
  await using second = await startDaemon()
  yield* sweepApis(sweep, [
    { address: first.grpcAddress, pid: first.pid },
    { address: second.grpcAddress, pid: second.pid },
  ])
}

export interface Api {
  readonly address: string
  /** NaN if it is not known. */
  readonly pid: number
}

/** Daemons that run already: one, or two for what goes from the first to the second. */
export async function* sweepApis(sweep: Sweep, [one, other]: readonly Api[]): AsyncGenerator<Figure> {
  if (one === undefined) return
  const bounds = daemonBounds(sweep.limits)
  await using first = connect(one.address, one.pid)
  yield* sweepTarget(first, bounds, sweep)
  if (other === undefined) return
  await using second = connect(other.address, other.pid)
  yield* sweepPair([first, second], bounds, sweep)
  if (sweep.idleThreads > 0) yield idleCpu(first, second, sweep.idleThreads)
}

async function* sweepTarget(target: Target, bounds: Bounds, sweep: Sweep): AsyncGenerator<Figure> {
  const cpu = cpuOf(target.pid)
  await warm(target)
  yield* sweep.measure(await writeRows(target, bounds, cpu))
  yield* sweep.measure(await readRows(target, bounds, cpu))
  if (!sweep.hasLatencies) return
  const database = await target.newDatabase()
  yield* await latencyFigures(`${target.name}: live change to a listener`, database, database)
}

async function* sweepPair([from, to]: readonly [Target, Target], bounds: Bounds, sweep: Sweep): AsyncGenerator<Figure> {
  const options = { documents: sweep.replicated, limit: bounds.receive, cpu: cpuOf(...new Set([from.pid, to.pid])) }
  yield* sweep.measure(replicationRows([from, to], options))
  if (!sweep.hasLatencies) return
  const shared = await from.newDatabase()
  const copy = await to.join(await shared.invitation())
  yield* await latencyFigures(`${from.name}: live change at the other host`, shared, copy)
}

/** Lets the compiler of the target see its work, so that the first rows are not slower than those after. */
async function warm(target: Target): Promise<void> {
  const database = await target.newDatabase()
  let next = 0
  for (const atOnce of [64, 1]) {
    const isOver = timer(WARM_MS)
    const work = async (): Promise<void> => {
      while (!isOver()) {
        const index = next++
        await database.create([person(index)])
        await database.get(idOf(index))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
  }
}
