/** One figure. */
export interface Figure {
  readonly work: string
  readonly value: number
  readonly unit: '/s' | 'MiB/s' | 'ms' | 'MiB' | 'bytes' | '%'
  /** Share of the limit that binds the work, 1 for all of it; absent where no limit does. */
  readonly ofLimit?: { readonly limit: string; readonly ratio: number }
}

/** How much is done. */
export interface Scale {
  /** Operations that write one by one. */
  readonly writes: number
  /** Operations that read. */
  readonly reads: number
  /** Documents of a collection that is read, or replicated. */
  readonly documents: number
}

/** Runs `work` and answers how many of `count` things were done in a second. */
export async function rate(count: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return count / ((performance.now() - started) / 1000)
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

/** The value that this share of the values is not above; 0.5 for the median. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}
