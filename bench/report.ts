import { cpus } from 'node:os'
import type { Figure } from './measure.ts'

const WORK_COLUMNS = 64

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

export function headOf({ node, cpu, cores }: Report): string {
  return `Node ${node}, ${cores} cores, ${cpu}\n${''.padEnd(WORK_COLUMNS + 18)}time   CPU`
}

/** Work, figure, share of the limit that binds it: in time, and in CPU time. */
export function lineOf({ work, value, unit, ofLimit }: Figure): string {
  const line = `${work.padEnd(WORK_COLUMNS)} ${numberOf(value).padStart(10)} ${unit.padEnd(5)}`
  if (ofLimit === undefined) return line.trimEnd()
  const { limit, ratio, cpuRatio } = ofLimit
  const shares = `${ratio.toFixed(2).padStart(5)} ${cpuRatio.toFixed(2).padStart(5)}`
  return `${line} ${shares}  of ${numberOf(ofLimit.value)} ${limit}`
}

function numberOf(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 2 : 0 })
}
