export interface Row {
  readonly work: string
  readonly perSecond: number
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** Prints a table, or JSON with `--json`. */
export function report(rows: readonly Row[], others: { coldOpenMs: number; memoryMib: number }): void {
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify({ rows, ...others }, undefined, 2))
    return
  }
  const width = Math.max(...rows.map((row) => row.work.length))
  for (const { work, perSecond } of rows) {
    console.log(`${work.padEnd(width)}  ${Math.round(perSecond).toLocaleString('en').padStart(10)} /s`)
  }
  console.log(`cold open of all that was written: ${Math.round(others.coldOpenMs)} ms`)
  console.log(`memory of this process, both hosts: ${Math.round(others.memoryMib)} MiB`)
}
