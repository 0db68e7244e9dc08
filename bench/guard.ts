/**
 * Holds ratios to those of `baseline.json`. Only the rows that stand there are guarded, and only by CPU time: what a row
 * takes of it, beside what its limit takes, is much the same on a busy machine, and on another one.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Figure, measureRow, type Row, type Rounds } from './measure.ts'

const BASELINE = join(import.meta.dirname, 'baseline.json')
const TRIES = 3
/** A ratio may fall by a third. */
const LEAST = 2 / 3

/** Ratios by row. */
export type Baseline = Readonly<Record<string, number>>

export async function readBaseline(): Promise<Baseline> {
  return JSON.parse(await readFile(BASELINE, 'utf8')) as Baseline
}

/** Writes the ratios of the same rows anew. */
export async function writeBaseline(figures: readonly Figure[]): Promise<void> {
  const ratios = figures.map(({ work, ofLimit }) => [work, Number(ofLimit?.cpuRatio.toFixed(3))] as const)
  await writeFile(BASELINE, `${JSON.stringify(Object.fromEntries(ratios), undefined, 2)}\n`)
}

/** Measures the guarded ones of some rows; those that fell twice more. Of each row the best try counts. */
export async function* measureGuarded(
  rows: readonly Row[],
  baseline: Baseline,
  rounds: Rounds,
): AsyncGenerator<Figure> {
  const best = new Map<string, Figure>()
  let left = rows.filter(({ name }) => Object.hasOwn(baseline, name))
  for (let tried = 0; tried < TRIES && left.length > 0; tried++) {
    for (const row of left) {
      const figure = await measureRow(row, rounds)
      const before = best.get(row.name)
      if (before === undefined || ratioOf(figure) > ratioOf(before)) best.set(row.name, figure)
    }
    left = left.filter(({ name }) => fallenBelow(baseline, best.get(name)))
  }
  yield* best.values()
}

/** What is to be said of each row of the baseline that fell, or that was not measured. */
export function complaints(figures: readonly Figure[], baseline: Baseline): string[] {
  return Object.entries(baseline).flatMap(([work, expected]) => {
    const figure = figures.find((each) => each.work === work)
    if (figure === undefined) return [`${work}: there is no such row`]
    if (!fallenBelow(baseline, figure)) return []
    return [`${work}: ${ratioOf(figure).toFixed(3)} of the CPU time of its limit, was ${expected}`]
  })
}

function fallenBelow(baseline: Baseline, figure: Figure | undefined): boolean {
  if (figure === undefined) return true
  // Where CPU time cannot be read nothing is compared.
  return ratioOf(figure) < LEAST * (baseline[figure.work] ?? Number.NaN)
}

function ratioOf({ ofLimit }: Figure): number {
  return ofLimit?.cpuRatio ?? Number.NaN
}
