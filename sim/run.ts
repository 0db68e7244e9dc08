import { checkAll, differenceOf } from './check.ts'
import type { Fault } from './faults.ts'
import { SimHost } from './host.ts'
import { FAIR, SimNetwork } from './network.ts'
import { makePlan } from './plan.ts'
import { SeededRandom } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { Work } from './work.ts'
import { fail, type World } from './world.ts'

export interface RunResult {
  readonly failures: readonly string[]
  /** What happened, up to the failure. */
  readonly story: readonly string[]
  /** Of everything that happened: the same seed gives the same. */
  readonly trace: string
  readonly simulatedMs: number
  readonly steps: number
}

/** Time after the trouble in which hosts must agree. The longest back-off of replication is ten minutes. */
const HEAL_MS = 40 * 60_000
/** How often it is looked whether they do. */
const LOOK_MS = 2_000
/** Steps without end, as in a loop of messages. */
const MAX_STEPS = 1_000_000

/** One network of hosts, from its beginning until its hosts agree. */
export async function run(seed: number, fault?: Fault): Promise<RunResult> {
  const random = new SeededRandom(String(seed))
  const scheduler = new Scheduler(random.fork('scheduler'))
  const network = new SimNetwork(scheduler, random.fork('network'))
  const hosts: SimHost[] = []
  const plan = makePlan(random.fork('plan'))
  const world: World = { plan, random, scheduler, network, hosts, fault, trouble: true, failures: [] }
  for (const planned of plan.hosts) hosts.push(new SimHost(planned, world))
  const work = new Work(world)
  network.onFailure = (error) => fail(world, `a call of a peer fails: ${String((error as Error).stack)}`)
  scheduleTrouble(world)
  work.schedule()
  await advance(world, plan.troubleMs)
  heal(world)
  if (await untilEqual(world, work)) await checkAll(world, work)
  for (const host of hosts) host.abandon()
  const { failures } = world
  return {
    failures,
    story: scheduler.story,
    trace: scheduler.trace,
    simulatedMs: scheduler.elapsedMs,
    steps: scheduler.steps,
  }
}

function scheduleTrouble(world: World): void {
  const { plan, scheduler, network, hosts } = world
  const random = world.random.fork('trouble')
  network.weather = plan.weather
  for (const host of hosts) {
    scheduler.after(host.planned.startMs, `${host.name} is started`, () => host.start())
    host.disk.onWrite = () => {
      if (world.trouble && random.chance(plan.writeCrashes)) crash(world, host, random)
    }
  }
  for (let i = 0; i < plan.crashes; i++) {
    scheduler.after(random.between(0, plan.troubleMs), 'a host ends', () => crash(world, random.pick(hosts), random))
  }
  for (let i = 0; i < plan.partitions; i++) {
    const part = hosts.filter(() => random.chance(0.5))
    const startMs = random.between(0, plan.troubleMs)
    const names = part.map(({ name }) => name).join('')
    scheduler.after(startMs, `hosts ${names} are cut off`, () => {
      for (const a of part) for (const b of hosts) if (!part.includes(b)) network.cut(a.id, b.id)
    })
    scheduler.after(startMs + random.between(1_000, 40_000), 'the network is whole', () => network.heal())
  }
}

/** Ends a host in one of the ways hosts end, and starts it again later. */
function crash(world: World, host: SimHost, random: SeededRandom): void {
  const { plan } = world
  if (host.isDown) return
  const backMs = random.between(50, 20_000)
  const restart = (): void => {
    if (host.isDown) host.start()
  }
  if (random.chance(0.2)) {
    host.stop().catch((error: unknown) => {
      // The last write of a host can fail too.
      if (plan.writeFailures > 0) host.crash('process')
      else fail(world, `${host.name} does not stop: ${String(error)}`)
    })
  } else {
    const kind = random.chance(0.5) ? 'process' : 'power'
    // Not within the step that asked: the host goes on until it waits.
    world.scheduler.after(0, `${host.name} crashes`, () => host.crash(kind))
  }
  world.scheduler.after(backMs, `${host.name} is started again`, restart)
}

function heal(world: World): void {
  world.trouble = false
  world.scheduler.note('the trouble is over')
  world.network.heal()
  world.network.weather = FAIR
  for (const host of world.hosts) {
    host.disk.failures = 0
    if (host.isDown) host.start()
  }
}

async function untilEqual(world: World, work: Work): Promise<boolean> {
  let difference: string | undefined = 'the hosts have just healed'
  for (let waitedMs = 0; waitedMs < HEAL_MS; waitedMs += LOOK_MS) {
    await advance(world, LOOK_MS)
    if (world.failures.length > 0) return false
    for (const host of world.hosts) if (host.isDown) host.start()
    difference = reasonToWait(world, work) ?? (await differenceOf(world))
    if (difference !== undefined) continue
    // What is not synced yet is told to nobody.
    await advance(world, LOOK_MS)
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
