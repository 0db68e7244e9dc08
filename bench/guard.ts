/**
 * Holds ratios to those of `baseline.json`, for the rows that stand there. A machine that is busy, or another one, must
 * not look like a mistake: so what is compared first is CPU time, which neither changes much. Time is compared too, for
 * waits that nobody needs; but a row may take longer beside its limit when its CPU time and the waits of the limit
 * explain it, as they do on a disk that syncs in no time.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Figure, measureRow, type Row, type Rounds, type Share } from './measure.ts'

const BASELINE = join(import.meta.dirname, 'baseline.json')
const TRIES = 3
/** A ratio may fall by a third. */
const LEAST = 2 / 3
/** What must be explained of the time of a row that got slower. */
const EXPLAINED = 1 / 2

/** Ratios of a row to its limit. */
interface Ratios {
  readonly time: number
  readonly cpu: number
}

/** By row. */
export type Baseline = Readonly<Record<string, Ratios>>

export async function readBaseline(): Promise<Baseline> {
  return JSON.parse(await readFile(BASELINE, 'utf8')) as Baseline
}

/** Writes the ratios of these rows. */
export async function writeBaseline(figures: readonly Figure[]): Promise<void> {
  const rows = figures.flatMap(({ work, ofLimit }) => {
    if (ofLimit === undefined) return []
    const ratios: Ratios = { time: rounded(ofLimit.ratio), cpu: rounded(ofLimit.cpuRatio) }
    return [[work, ratios] as const]
  })
  await writeFile(BASELINE, `${JSON.stringify(Object.fromEntries(rows), undefined, 2)}\n`)
}

/** Measures the guarded ones of some rows; those that fell up to twice more. The last try counts. */
export async function* measureGuarded(
  rows: readonly Row[],
  baseline: Baseline,
  rounds: Rounds,
): AsyncGenerator<Figure> {
  let left = rows.filter(({ name }) => Object.hasOwn(baseline, name))
  for (let tried = 1; left.length > 0; tried++) {
    const again: Row[] = []
    for (const row of left) {
      const figure = await measureRow(row, rounds)
      if (tried < TRIES && complaintOf(figure, baseline) !== undefined) again.push(row)
      else yield figure
    }
    left = again
  }
}

/** What is to be said of the rows of the baseline that fell, or were not measured. */
export function complaints(figures: readonly Figure[], baseline: Baseline): string[] {
  const missing = Object.keys(baseline).filter((name) => !figures.some(({ work }) => work === name))
  return [
    ...missing.map((name) => `${name}: there is no such row`),
    ...figures.flatMap((figure) => complaintOf(figure, baseline) ?? []),
  ]
}

function complaintOf({ work, ofLimit }: Figure, baseline: Baseline): string | undefined {
  const expected = baseline[work]
  if (expected === undefined || ofLimit === undefined) return undefined
  const { ratio, cpuRatio, explained, limit }: Share = ofLimit
  if (cpuRatio < LEAST * expected.cpu)
    return `${work}: takes the CPU time of its limit (${limit}) ${(1 / cpuRatio).toFixed(2)} times, was ${(1 / expected.cpu).toFixed(2)}`
  if (ratio < LEAST * expected.time && explained < EXPLAINED)
    return `${work}: reaches ${ratio.toFixed(3)} of its limit (${limit}), was ${expected.time}, and mostly waits`
  return undefined
}

function rounded(ratio: number): number {
  return Number(ratio.toFixed(3))
}
