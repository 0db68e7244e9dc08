/**
 * What the database does on this machine, beside the limits of the machine, measured in one run. The machine may be
 * shared: compare ratios, not figures of different days. docs/performance.md tells what is measured, and how.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connect } from './api-target.ts'
import { complaints, measureGuarded, readBaseline, writeBaseline } from './guard.ts'
import { type Limits, openLimits } from './limits/limits.ts'
import { type Figure, measureRow, type Row } from './measure.ts'
import { measurePeers } from './peers/peers.ts'
import { headOf, lineOf, reportOf } from './report.ts'
import { growthFigures } from './rows/growth.ts'
import { fillingFigures, loadedFigures } from './rows/loaded.ts'
import { type Api, type Sweep, sweepApis, sweepDaemons, sweepEmbedded } from './sweep.ts'

const FULL = {
  rounds: { rounds: 9, ms: 300 },
  replicated: 10_000,
  sizes: [1_000, 10_000, 100_000],
  loading: { documents: 100_000, settleMs: 15_000 },
  idleThreads: 1_000,
}
const QUICK: typeof FULL = {
  rounds: { rounds: 3, ms: 40 },
  replicated: 1_000,
  sizes: [1_000, 10_000],
  loading: { documents: 10_000, settleMs: 0 },
  idleThreads: 0,
}
const LARGE = 1_000_000
const GUARD_ROUNDS = { rounds: 5, ms: 120 }

const USAGE = `Usage: npm run bench -- [--quick] [--json] [--guard | --peers | --api HOST:PORT --pid PID]

  --quick           under a minute: shorter rounds, fewer documents
  --large           1,000,000 documents too
  --json            figures as JSON
  --guard           measure only what bench/baseline.json holds, and fail if a ratio fell by more than a third
  --write-baseline  measure the same rows, and write their ratios there
  --peers           install other databases into a temporary directory, and measure the same documents in them
  --api             measure the daemon at this address only; any with the gRPC API of go-threads. Given twice, with two
                    of --pid: what goes from the first to the second, too
  --pid             process of that daemon, for its CPU time, memory and disk
`

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    guard: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
    'write-baseline': { type: 'boolean', default: false },
    api: { type: 'string', multiple: true, default: [] },
    pid: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', default: false },
  },
})
const plan = options.quick ? QUICK : FULL

async function main(): Promise<void> {
  if (options.help) return void process.stdout.write(USAGE)
  const directory = await mkdtemp(join(tmpdir(), 'threads-bench-'))
  try {
    if (options.peers) return void (await print(measurePeers(directory, plan.replicated)))
    await using limits = await openLimits(directory)
    const sweep: Sweep = { directory, limits, ...plan, hasLatencies: true, measure: measureRows }
    if (options.guard || options['write-baseline']) await guard(sweep)
    else await print(options.api.length > 0 ? measureApis(sweep) : measureAll(sweep))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function* measureRows(rows: readonly Row[]): AsyncGenerator<Figure> {
  for (const row of rows) yield measureRow(row, plan.rounds)
}

async function* measureLimits({ all }: Limits): AsyncGenerator<Figure> {
  yield* measureRows(all.map((limit) => ({ ...limit, name: `limit: ${limit.name}` })))
}

async function* measureAll(sweep: Sweep): AsyncGenerator<Figure> {
  yield* measureLimits(sweep.limits)
  yield* sweepEmbedded(sweep)
  yield* growthFigures(sweep.directory, options.large ? [...plan.sizes, LARGE] : plan.sizes, plan.rounds)
  yield* sweepDaemons(sweep)
  yield* await loadedFigures(plan.loading)
}

/** Daemons that run already, with what the machine can do beside them. */
async function* measureApis(sweep: Sweep): AsyncGenerator<Figure> {
  const apis = options.api.map((address, index): Api => ({ address, pid: Number(options.pid[index]) }))
  yield* measureLimits(sweep.limits)
  yield* sweepApis(sweep, apis)
  const [first] = apis
  if (first === undefined || Number.isNaN(first.pid)) return
  await using target = connect(first.address, first.pid)
  yield* await fillingFigures(target, plan.loading)
}

async function* measureGuardedAll(sweep: Sweep): AsyncGenerator<Figure> {
  yield* sweepEmbedded(sweep)
  yield* sweepDaemons(sweep)
}

/** Fails the process if a ratio fell. */
async function guard(whole: Sweep): Promise<void> {
  const baseline = await readBaseline()
  const measure = (rows: readonly Row[]): AsyncIterable<Figure> => measureGuarded(rows, baseline, GUARD_ROUNDS)
  const figures = await print(measureGuardedAll({ ...whole, hasLatencies: false, idleThreads: 0, measure }))
  if (options['write-baseline']) return writeBaseline(figures)
  const fallen = complaints(figures, baseline)
  for (const complaint of fallen) console.error(complaint)
  if (fallen.length > 0) process.exitCode = 1
}

/** Each line as soon as it is known; JSON in the end. */
async function print(lines: AsyncIterable<Figure | string>): Promise<Figure[]> {
  const all: Figure[] = []
  if (!options.json) console.log(headOf(reportOf(all)))
  for await (const line of lines) {
    if (typeof line !== 'string') all.push(line)
    if (!options.json) console.log(typeof line === 'string' ? line : lineOf(line))
  }
  if (options.json) console.log(JSON.stringify(reportOf(all), undefined, 2))
  return all
}

await main()
