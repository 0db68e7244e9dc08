/**
 * What the database does on this machine, beside the limits of the machine, measured in one run. The machine may be
 * shared: compare ratios, not figures of different days. CONTRIBUTING.md tells how to use it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { randomBytes } from '../src/core/crypto.ts'
import { generateKey } from '../src/core/keys.ts'
import { startDaemon } from '../test/support/daemon.ts'
import { connect } from './api-target.ts'
import { openEmbedded } from './embedded-target.ts'
import { measureLimits } from './limits.ts'
import type { Figure, Scale } from './measure.ts'
import { measureOpening } from './opening.ts'
import { idleCpu, measureReplication, residentMib } from './replication.ts'
import { reportOf, tableOf } from './report.ts'
import { batches, measure } from './works.ts'

const FULL = {
  scale: { writes: 10_000, reads: 20_000, documents: 10_000 },
  opening: [10_000, 100_000, 1_000_000],
  loaded: 100_000,
  idleThreads: 1_000,
}
const QUICK = {
  scale: { writes: 1_500, reads: 3_000, documents: 3_000 },
  opening: [10_000],
  loaded: 10_000,
  idleThreads: 0,
}

const USAGE = `Usage: npm run bench -- [--quick] [--json] [--api HOST:PORT --pid PID]

  --quick     under a minute, with fewer documents
  --json      figures as JSON
  --api       measure the daemon at this address only; any with the gRPC API of go-threads
  --pid       process of that daemon, for its memory
`

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    api: { type: 'string' },
    pid: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

async function main(): Promise<void> {
  if (options.help) return void process.stdout.write(USAGE)
  const plan = options.quick ? QUICK : FULL
  const directory = await mkdtemp(join(tmpdir(), 'threads-bench-'))
  try {
    const figures = await (options.api === undefined
      ? measureAll(directory, plan)
      : measureDaemon(directory, { scale: plan.scale, api: options.api, pid: Number(options.pid) }))
    const report = reportOf(figures)
    console.log(options.json ? JSON.stringify(report, undefined, 2) : tableOf(report))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function measureAll(directory: string, plan: typeof FULL): Promise<Figure[]> {
  const { scale } = plan
  const limits = await measureLimits(directory, scale.writes)
  const figures = [...limits.figures]
  {
    await using host = await openEmbedded(join(directory, 'a'), generateKey(randomBytes))
    figures.push(...(await measure(host, scale, limits)).figures)
    await using other = await openEmbedded(join(directory, 'b'), generateKey(randomBytes))
    figures.push(...(await measureReplication(host, other, { scale, limit: limits.receive })))
  }
  for (const documents of plan.opening) figures.push(...(await measureOpening(directory, documents)))
  figures.push(...(await measureDaemons(scale, limits, plan)))
  return figures
}

async function measureDaemons(
  scale: Scale,
  limits: Awaited<ReturnType<typeof measureLimits>>,
  { loaded, idleThreads }: typeof FULL,
): Promise<Figure[]> {
  await using first = await startDaemon()
  await using second = await startDaemon()
  await using from = connect(first.grpcAddress, first.pid)
  await using to = connect(second.grpcAddress, second.pid)
  const empty = await residentMib(second.pid)
  const calls = { create: limits.call, createMany: limits.callMany }
  const figures = (await measure(from, scale, calls)).figures
  figures.push(...(await measureReplication(from, to, { scale, limit: limits.receive })))
  if (idleThreads > 0) figures.push(await idleCpu(from, to, idleThreads))
  await using third = await startDaemon()
  await using load = connect(third.grpcAddress, third.pid)
  await batches(await load.newDatabase(), loaded)
  const idle = await residentMib(third.pid)
  figures.push(
    { work: 'daemon: start, to its banner', value: third.readyMs, unit: 'ms' },
    { work: 'daemon: memory when empty', value: empty, unit: 'MiB' },
    {
      work: `daemon: memory more with ${loaded.toLocaleString('en')} documents, idle`,
      value: idle - empty,
      unit: 'MiB',
    },
  )
  return figures
}

/** A daemon that runs already, with what the machine can do beside it. */
async function measureDaemon(
  directory: string,
  { scale, api, pid }: { scale: Scale; api: string; pid: number },
): Promise<Figure[]> {
  const limits = await measureLimits(directory, scale.writes)
  await using target = connect(api, pid)
  const { figures } = await measure(target, scale, { create: limits.call, createMany: limits.callMany })
  if (Number.isNaN(pid)) return [...limits.figures, ...figures]
  return [
    ...limits.figures,
    ...figures,
    { work: 'daemon: memory after all that', value: await residentMib(pid), unit: 'MiB' },
  ]
}

await main()
