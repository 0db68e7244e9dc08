import type { SeededRandom } from './random.ts'

/** Something that a client, an operator or fate does to the hosts at a certain time. */
export type Step = { readonly number: number; readonly atMs: number } & Deed

export type Deed =
  /** A client writes or reads. */
  | { readonly kind: 'call'; readonly host: string; readonly thread: number }
  /** An operator registers a collection, or changes its rules and indexes. */
  | { readonly kind: 'define'; readonly host: string; readonly thread: number }
  /** The host ends, in one of the ways hosts end, and is back after a while. */
  | { readonly kind: 'crash'; readonly host: string; readonly backMs: number; readonly how: Ending }
  /** Hosts and the others do not hear each other; or, one way only, the others do not hear them. */
  | { readonly kind: 'part'; readonly hosts: readonly string[]; readonly forMs: number; readonly oneWay: boolean }
  /** Somebody sets the clock of a host: from now on it is wrong by so much, if `forMs` is given for a time. */
  | { readonly kind: 'clock'; readonly host: string; readonly skewMs: number; readonly forMs?: number }
  /** An operator deletes a thread from a host, which joins it again later. The deletion may be cut off by a crash. */
  | {
      readonly kind: 'forget'
      readonly host: string
      readonly thread: number
      readonly backMs: number
      readonly crashAfterMs: number | undefined
    }
  /** The disk of a host is replaced by an older copy of it. For a time nobody tells the host what it wrote since. */
  | {
      readonly kind: 'restore'
      readonly host: string
      readonly writes: number
      readonly backMs: number
      readonly aloneMs: number
    }
  /** A host that follows with the service key only is given the whole key. */
  | { readonly kind: 'promote'; readonly host: string }

/** `process` and `power` are kinds of crashes. */
export type Ending = 'stop' | 'process' | 'power'

export interface StepPlan {
  readonly hosts: readonly { readonly name: string; readonly isRelay: boolean }[]
  /** Numbers of the threads. */
  readonly threads: readonly number[]
  readonly troubleMs: number
  readonly isCalm: boolean
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** Of clocks that are set to another day. */
export const FAR_MS: { readonly low: number; readonly high: number } = { low: 23 * HOUR_MS, high: 30 * HOUR_MS }

/** All that happens in a run, in no order. */
export function makeSteps(random: SeededRandom, plan: StepPlan): Step[] {
  const deeds: Deed[] = []
  const names = plan.hosts.map(({ name }) => name)
  const full = plan.hosts.filter(({ isRelay }) => !isRelay).map(({ name }) => name)
  const thread = (): number => random.pick(plan.threads)
  const times = (count: number, make: () => Deed): void => {
    for (let i = 0; i < count; i++) deeds.push(make())
  }
  times(random.between(20, 60 + 10 * names.length), () => ({ kind: 'call', host: random.pick(full), thread: thread() }))
  times(random.chance(0.5) ? random.between(1, 6) : 0, () => {
    return { kind: 'define', host: random.pick(full), thread: thread() }
  })
  for (const { name, isRelay } of plan.hosts) {
    if (isRelay && random.chance(0.5)) deeds.push({ kind: 'promote', host: name })
  }
  if (!plan.isCalm) {
    times(random.between(0, 5), () => {
      return { kind: 'crash', host: random.pick(names), backMs: random.between(50, 20_000), how: ending(random) }
    })
    times(random.between(0, 4), () => {
      const hosts = names.filter(() => random.chance(0.5))
      return { kind: 'part', hosts, forMs: random.between(1_000, 40_000), oneWay: random.chance(0.2) }
    })
    times(random.chance(0.3) ? random.between(1, 3) : 0, () => {
      return { kind: 'clock', host: random.pick(names), skewMs: wrongClock(random) }
    })
    times(random.chance(0.15) ? random.between(1, 2) : 0, () => {
      const forMs = random.between(2_000, 40_000)
      return { kind: 'clock', host: random.pick(full), skewMs: farOff(random), forMs }
    })
    times(random.chance(0.1) ? 1 : 0, () => {
      const aloneMs = random.chance(0.6) ? random.between(1_000, 40_000) : 0
      const lost = { writes: random.between(1, 40), aloneMs }
      return { kind: 'restore', host: random.pick(names), backMs: random.between(50, 10_000), ...lost }
    })
    times(random.chance(0.25) ? random.between(1, 2) : 0, () => {
      const crashAfterMs = random.chance(0.6) ? random.between(1, 40) : undefined
      const where = { host: random.pick(full), thread: thread() }
      return { kind: 'forget', ...where, backMs: random.between(10, 20_000), crashAfterMs }
    })
  }
  return deeds.map((deed, index) => ({ ...deed, number: index + 1, atMs: random.between(0, plan.troubleMs) }))
}

export function ending(random: SeededRandom): Ending {
  if (random.chance(0.2)) return 'stop'
  return random.chance(0.5) ? 'process' : 'power'
}

/** Most clocks are off by seconds; some by more than the ten minutes that hosts tolerate. */
function wrongClock(random: SeededRandom): number {
  return random.chance(0.4) ? random.between(-25, 25) * MINUTE_MS : random.between(-20_000, 20_000)
}

export function isFarOff(skewMs: number): boolean {
  return Math.abs(skewMs) >= FAR_MS.low
}

/** By about the day that records may be ahead of a clock at most. */
function farOff(random: SeededRandom): number {
  const ms = random.between(FAR_MS.low, FAR_MS.high)
  return random.chance(0.7) ? ms : -ms
}
