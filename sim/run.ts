import { checkAll, differenceOf } from './check.ts'
import { type Cut, cutPlan, NOTHING_CUT } from './cut.ts'
import type { Fault } from './faults.ts'
import { SimHost } from './host.ts'
import type { EngineJudge } from './judge.ts'
import { SimNetwork } from './network.ts'
import { makePlan } from './plan.ts'
import { SeededRandom } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { isFarOff } from './steps.ts'
import { heal, passDays, scheduleSteps } from './trouble.ts'
import { Work } from './work.ts'
import { fail, type World } from './world.ts'

export interface RunOptions {
  /** A mistake made on purpose. */
  readonly fault?: Fault | undefined
  /** Parts of the plan that are left out. */
  readonly cut?: Cut
  /** Judges where the plan asks for an engine; may be used for many runs. */
  readonly engine: EngineJudge
}

export interface RunResult {
  readonly failures: readonly string[]
  /** What happened, up to the failure: what is worth telling, and every event. */
  readonly story: readonly string[]
  readonly everything: readonly string[]
  /** Of everything that happened: the same seed gives the same. */
  readonly trace: string
  readonly simulatedMs: number
  readonly steps: number
}

/** Time after the trouble in which hosts must agree. Clocks may be an hour apart, and back-offs take ten minutes. */
const HEAL_MS = 80 * 60_000
/** How often it is looked whether they do, at first and later. */
const LOOK_MS = 2_000
const LATER_LOOK_MS = 15_000
const LATER_MS = 120_000
/** Where clocks were far off, hosts that do not agree by then may wait for a time that is days ahead. */
const DAYS_AFTER_MS = 60_000
/** Steps without end, as in a loop of messages. */
const MAX_STEPS = 1_000_000

/** One network of hosts, from its beginning until its hosts agree. */
export async function run(seed: number, { fault, engine, cut = NOTHING_CUT }: RunOptions): Promise<RunResult> {
  const random = new SeededRandom(String(seed))
  const scheduler = new Scheduler(random.fork('scheduler'))
  const network = new SimNetwork(scheduler, random.fork('network'))
  const hosts: SimHost[] = []
  const plan = cutPlan(makePlan(random.fork('plan')), cut)
  const judging = { fault, engine: plan.judgesInEngine ? engine : undefined }
  const world: World = { plan, random, scheduler, network, hosts, ...judging, trouble: true, lost: [], failures: [] }
  for (const planned of plan.hosts) hosts.push(new SimHost(planned, world))
  const work = new Work(world)
  network.onFailure = (error) => fail(world, `a call of a peer fails: ${String((error as Error).stack)}`)
  scheduleSteps(world, work)
  await advance(world, plan.troubleMs)
  heal(world)
  if (await untilEqual(world, work)) await checkAll(world, work)
  for (const host of hosts) host.abandon()
  const { failures } = world
  const { story, everything, trace, elapsedMs: simulatedMs, steps } = scheduler
  return { failures, story, everything, trace, simulatedMs, steps }
}

async function untilEqual(world: World, work: Work): Promise<boolean> {
  let difference: string | undefined = 'the hosts have just healed'
  const isOfDays = world.plan.steps.some((step) => step.kind === 'clock' && isFarOff(step.skewMs))
  for (let waitedMs = 0; waitedMs < HEAL_MS; ) {
    const lookMs = waitedMs < LATER_MS ? LOOK_MS : LATER_LOOK_MS
    await advance(world, lookMs)
    waitedMs += lookMs
    if (world.failures.length > 0) return false
    for (const host of world.hosts) {
      if (host.isDown) host.start()
      // Whoever was opening a thread when the trouble ended left out what is registered late.
      else if (!host.isOpen) host.entrance.enterAll()
    }
    difference = reasonToWait(world, work) ?? (await differenceOf(world))
    if (waitedMs === DAYS_AFTER_MS && difference !== undefined && isOfDays) passDays(world)
    if (difference !== undefined) continue
    // What is not synced yet is told to nobody.
    await advance(world, LOOK_MS + Math.max(...world.hosts.map(({ planned }) => planned.syncMs)))
    return world.failures.length === 0
  }
  fail(world, `the hosts do not agree: ${difference}`)
  return false
}

function reasonToWait({ hosts }: World, { pending }: Work): string | undefined {
  const closed = hosts.find((host) => !host.isOpen)
  if (closed !== undefined) return `${closed.name} has not opened its databases`
  const [write] = pending
  return write === undefined ? undefined : `write ${write.mark} at ${write.host.name} has no answer`
}

async function advance({ scheduler, failures }: World, forMs: number): Promise<void> {
  const endMs = scheduler.nowMs + forMs
  scheduler.after(forMs, 'a look at all', () => {})
  while (scheduler.nowMs < endMs && failures.length === 0) {
    if (scheduler.steps > MAX_STEPS) throw new Error(`no end after ${MAX_STEPS} steps`)
    await scheduler.step()
  }
}
