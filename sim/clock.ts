import type { Clock } from '../src/core/clock.ts'
import type { Life, Scheduler } from './scheduler.ts'

/** The clock of a host: virtual time, wrong by what `skewMs` says now. Timers run on whatever the clock is set to. */
export function hostClock(scheduler: Scheduler, life: Life, skewMs: () => number): Clock {
  return {
    nowMs: () => Math.floor(scheduler.nowMs + skewMs()),
    after: (delayMs, run) => scheduler.after(delayMs, `timer of ${delayMs} ms`, run, life),
  }
}
