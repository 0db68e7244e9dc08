import type { Outcome } from './pool.ts'

const HOUR_MS = 3_600_000

/** What many runs came to so far. */
export class Tally {
  readonly #startedMs = performance.now()
  #networks = 0
  #simulatedMs = 0
  failed = 0

  add({ simulatedMs, failure }: Outcome): void {
    this.#networks++
    this.#simulatedMs += simulatedMs
    if (failure !== undefined) this.failed++
  }

  /** For people. */
  get text(): string {
    const minutes = (performance.now() - this.#startedMs) / 60_000
    const hours = this.#simulatedMs / HOUR_MS
    const mib = Math.round(process.memoryUsage.rss() / 1024 / 1024)
    const rate = `${(hours / minutes).toFixed(1)} simulated hours per minute`
    const what = `${this.#networks} networks, ${hours.toFixed(1)} simulated hours in ${minutes.toFixed(1)} min`
    return `${what} (${rate}), ${this.failed} failed, ${mib} MiB`
  }
}
