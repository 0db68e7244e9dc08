/** How anything is measured: in short rounds, each beside the limit that binds it, since the machine may be shared. */

export type Unit = '/s' | 'MiB/s' | 'ms' | 'MiB' | 'bytes' | '%'

/** One line of the table. */
export interface Figure {
  readonly work: string
  readonly value: number
  readonly unit: Unit
  /** Absent where no limit binds the work. */
  readonly ofLimit?: Share
}

/** A figure beside its limit, measured in turns with it. */
export interface Share {
  readonly limit: string
  /** What the limit reached, in the unit of the figure. */
  readonly value: number
  /** Speed of the work over that of the limit. */
  readonly ratio: number
  /** CPU time that the limit takes for one thing, over that of the work; NaN where it cannot be read. */
  readonly cpuRatio: number
  /** Share of the time of one thing that its CPU time and the waits of its limit make up. More than 1 on several cores. */
  readonly explained: number
}

/** What can be measured again and again. */
export interface Work {
  readonly name: string
  /** Works for about so many ms: longer if once takes longer, or if the machine is busy. */
  run(ms: number): Promise<Sample>
}

/** Work, and the limit that binds it. */
export interface Row extends Work {
  readonly limit?: Work
}

export interface Sample {
  /** Things done in a second. */
  readonly perSecond: number
  /** CPU time of one thing, in ms. */
  readonly cpuMs: number
}

/** CPU time so far of the processes that take part, in ms. */
export type CpuMeter = () => Promise<number>

export interface Rounds {
  readonly rounds: number
  /** Length of a round, in ms, of the work and of its limit each. */
  readonly ms: number
}

/** Measures what `task` does; it answers how many things that were. */
export async function sample(cpu: CpuMeter, task: () => Promise<number>): Promise<Sample> {
  const cpuBefore = await cpu()
  const started = performance.now()
  const count = await task()
  const ms = performance.now() - started
  return { perSecond: (1000 * count) / ms, cpuMs: ((await cpu()) - cpuBefore) / count }
}

export interface Repetition {
  readonly cpu: CpuMeter
  /** Calls at once. Default 1. */
  readonly atOnce?: number
  /** Things that one call does. Default 1. */
  readonly each?: number
}

/** Work that calls `task` again and again, with numbers that never come twice. */
export function repeated(
  name: string,
  { cpu, atOnce = 1, each = 1 }: Repetition,
  task: (index: number) => unknown,
): Work {
  let next = 0
  const runFor = async (ms: number): Promise<number> => {
    const first = next
    const isOver = timer(ms)
    const worker = async (): Promise<void> => {
      do await task(next++)
      while (!isOver())
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    return each * (next - first)
  }
  return { name, run: (ms) => sample(cpu, () => runFor(ms)) }
}

const CPU_SHARE = 0.6
const LONGEST = 8

/** Says when a round is over. On a busy machine that is later, when about as much is done as on a quiet one. */
export function timer(ms: number): () => boolean {
  const end = performance.now() + ms
  const lastEnd = end + (LONGEST - 1) * ms
  const cpuEnd = ownCpuMs() + CPU_SHARE * ms
  return () => {
    const now = performance.now()
    return now >= end && (now >= lastEnd || ownCpuMs() >= cpuEnd)
  }
}

export function ownCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** How much longer the round is that lets the compiler see the work, and does not count. */
const WARMING = 2

/** Measures a row and its limit in turns. Every second round begins with the row. */
export async function measureRow({ limit, ...row }: Row, { rounds, ms }: Rounds): Promise<Figure> {
  const samples: Sample[] = []
  const limits: Sample[] = []
  await limit?.run(WARMING * ms)
  await row.run(WARMING * ms)
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 1) samples.push(await row.run(ms))
    if (limit !== undefined) limits.push(await limit.run(ms))
    if (round % 2 === 0) samples.push(await row.run(ms))
  }
  const figure: Figure = { work: row.name, value: median(samples.map(({ perSecond }) => perSecond)), unit: '/s' }
  if (limit === undefined) return figure
  const pairs = samples.flatMap((done, round) => {
    const bound = limits[round]
    return bound === undefined ? [] : [{ done, bound }]
  })
  const ofLimit: Share = {
    limit: limit.name,
    value: median(limits.map(({ perSecond }) => perSecond)),
    ratio: median(pairs.map(({ done, bound }) => done.perSecond / bound.perSecond)),
    cpuRatio: median(pairs.map(({ done, bound }) => bound.cpuMs / done.cpuMs)),
    explained: median(pairs.map(({ done, bound }) => (done.cpuMs + msOf(bound) - bound.cpuMs) / msOf(done))),
  }
  return { ...figure, ofLimit }
}

function msOf({ perSecond }: Sample): number {
  return 1000 / perSecond
}

/** Calls `task` with 0 to `count` - 1, that many at once. */
export async function inFlight(
  atOnce: number,
  count: number,
  task: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** The value that this share of the values is not above; 0.5 for the median. NaN if there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}
