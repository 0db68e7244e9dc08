import { cpus } from 'node:os'
import type { Figure } from './measure.ts'

export interface Report {
  readonly node: string
  readonly cpu: string
  readonly cores: number
  readonly figures: readonly Figure[]
}

export function reportOf(figures: readonly Figure[]): Report {
  const [cpu] = cpus()
  return { node: process.versions.node, cpu: cpu?.model ?? 'unknown', cores: cpus().length, figures }
}

/** A table: work, figure, share of the limit that binds it. */
export function tableOf({ figures, ...machine }: Report): string {
  const width = Math.max(...figures.map(({ work }) => work.length))
  const lines = figures.map(({ work, value, unit, ofLimit }) => {
    const share = ofLimit === undefined ? '' : `  ${ofLimit.ratio.toFixed(2)} of ${ofLimit.limit}`
    return `${work.padEnd(width)}  ${numberOf(value).padStart(10)} ${unit.padEnd(5)}${share}`.trimEnd()
  })
  return [`Node ${machine.node}, ${machine.cores} cores, ${machine.cpu}`, '', ...lines].join('\n')
}

function numberOf(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 2 : 0 })
}
