import { isDeepStrictEqual } from 'node:util'
import type { Plan, PlannedHost } from './plan.ts'
import type { Step } from './steps.ts'

/** Parts of a plan that can be left out: hosts by their letter, steps by their number, and these. */
const FEATURES = {
  drop: (plan: Plan): Plan => ({ ...plan, weather: { ...plan.weather, drop: 0 } }),
  duplicate: (plan: Plan): Plan => ({ ...plan, weather: { ...plan.weather, duplicate: 0 } }),
  linger: (plan: Plan): Plan => ({ ...plan, weather: { ...plan.weather, linger: 0 } }),
  'write-failures': (plan: Plan): Plan => ({ ...plan, writeFailures: 0 }),
  'write-crashes': (plan: Plan): Plan => ({ ...plan, writeCrashes: 0 }),
  'power-cuts': (plan: Plan): Plan => ({ ...plan, powerCuts: 0 }),
  sandbox: (plan: Plan): Plan => ({ ...plan, sandboxDown: 0 }),
  engine: (plan: Plan): Plan => ({ ...plan, judgesInEngine: false }),
  gossip: (plan: Plan): Plan => withHosts(plan, (host) => ({ ...host, gossips: false })),
  skew: (plan: Plan): Plan => withHosts(plan, (host) => ({ ...host, skewMs: 0 })),
  relaxed: (plan: Plan): Plan => withHosts(plan, (host) => ({ ...host, durability: 'full' })),
  'slow-disks': (plan: Plan): Plan => withHosts(plan, (host) => ({ ...host, syncMs: 15 })),
  'small-journals': (plan: Plan): Plan => withHosts(plan, (host) => ({ ...host, feedBytes: undefined })),
  operators: (plan: Plan): Plan => withHosts(plan, (host) => ({ ...host, isOperated: false })),
  late: (plan: Plan): Plan => withHosts(plan, (host) => ({ ...host, registersLate: [] })),
  thread3: (plan: Plan): Plan => withoutThread(plan, 3),
  thread2: (plan: Plan): Plan => withoutThread(plan, 2),
} as const

type Feature = keyof typeof FEATURES

/** Names of parts that are left out of a plan. */
export type Cut = ReadonlySet<string>

export const NOTHING_CUT: Cut = new Set()

function withHosts(plan: Plan, change: (host: PlannedHost) => PlannedHost): Plan {
  return { ...plan, hosts: plan.hosts.map(change) }
}

function withoutThread(plan: Plan, number: number): Plan {
  const threads = plan.threads.filter((thread) => thread.number !== number)
  return { ...plan, threads, steps: plan.steps.filter((step) => !('thread' in step) || step.thread !== number) }
}

export function cutPlan(plan: Plan, cut: Cut): Plan {
  let left = plan
  for (const [name, leaveOut] of Object.entries(FEATURES)) if (cut.has(name)) left = leaveOut(left)
  const hosts = left.hosts.filter(({ name }) => !cut.has(name))
  const names = new Set(hosts.map(({ name }) => name))
  const steps = left.steps.flatMap((step) => (cut.has(String(step.number)) ? [] : among(step, names)))
  return { ...left, hosts, steps }
}

/** The step as far as it concerns hosts that are there. */
function among(step: Step, names: ReadonlySet<string>): Step[] {
  if (step.kind !== 'part') return names.has(step.host) ? [step] : []
  return [{ ...step, hosts: step.hosts.filter((name) => names.has(name)) }]
}

/** What can be left out of a plan, in groups to try in turn. The first host stays: it creates the threads. */
export function partsOf(plan: Plan): { features: Feature[]; hosts: string[]; steps: string[] } {
  return {
    features: (Object.keys(FEATURES) as Feature[]).filter((name) => !isDeepStrictEqual(FEATURES[name](plan), plan)),
    hosts: plan.hosts.slice(1).map(({ name }) => name),
    steps: plan.steps.map(({ number }) => String(number)),
  }
}

/** As it is given on the command line: `B,drop,1-7,9`. */
export function cutText(cut: Cut): string {
  const numbers = [...cut].map(Number).filter(Number.isInteger)
  const words = [...cut].filter((name) => !Number.isInteger(Number(name)))
  const ranges: [number, number][] = []
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && last[1] === number - 1) last[1] = number
    else ranges.push([number, number])
  }
  return [...words, ...ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))].join(',')
}

/** Throws TypeError for a part that no plan has. */
export function parseCut(text: string): Cut {
  const cut = new Set<string>()
  for (const part of text.split(',').filter((each) => each !== '')) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? []
    if (first === undefined && !(part in FEATURES) && !/^[B-G]$/.test(part)) {
      throw new TypeError(`--without names ${part}, which no plan has`)
    }
    if (first === undefined) cut.add(part)
    else for (let number = Number(first); number <= Number(last); number++) cut.add(String(number))
  }
  return cut
}
