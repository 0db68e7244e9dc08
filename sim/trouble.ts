import type { ThreadId } from '../src/core/thread-id.ts'
import type { SimHost } from './host.ts'
import type { SeededRandom } from './random.ts'
import { ending, type Ending, FAR_MS, isFarOff, type Step } from './steps.ts'
import { FAIR } from './network.ts'
import type { Work } from './work.ts'
import { fail, type World } from './world.ts'

/** Plans the start of all hosts, and everything that happens to them. */
export function scheduleSteps(world: World, work: Work): void {
  const { plan, scheduler, network, hosts } = world
  network.weather = plan.weather
  for (const host of hosts) {
    const random = world.random.fork(`disk crashes of ${host.name}`)
    scheduler.after(host.planned.startMs, `${host.name} is started`, () => {
      if (host.isDown) host.start()
    })
    host.disk.onWrite = () => {
      if (!world.trouble || !random.chance(plan.writeCrashes)) return
      const delayMs = random.chance(0.5) ? 0 : random.between(0, host.planned.syncMs)
      endHost(world, host, { how: ending(random), backMs: random.between(50, 20_000), delayMs })
    }
  }
  const random = world.random.fork('power cuts')
  work.onAcknowledged = (host, thread) => {
    // Where something can be lost, power losses tell most; above all if a peer asked for it just before.
    if (!world.trouble || !host.disk.isUnsynced || !random.chance(plan.powerCuts)) return
    const isAsked = random.chance(0.7)
    if (isAsked) pullFrom(world, host, { thread, random })
    const delayMs = isAsked ? random.between(100, 600) : random.between(0, host.planned.syncMs + 50)
    endHost(world, host, { how: 'power', backMs: random.between(50, 20_000), delayMs })
  }
  for (const step of plan.steps) {
    scheduler.after(step.atMs, `step ${step.number}`, () => take(world, work, step))
  }
}

/** The user of another host wants to have what is new in a thread. */
function pullFrom(
  { hosts, scheduler }: World,
  asked: SimHost,
  { thread, random }: { thread: ThreadId; random: SeededRandom },
): void {
  const others = hosts.filter((host) => host !== asked && host.running?.net.listThreads().includes(thread) === true)
  if (others.length === 0) return
  const { name, running } = random.pick(others)
  running?.net.pullThread(thread).catch((error: unknown) => scheduler.tell(`${name}  cannot pull: ${String(error)}`))
}

function take(world: World, work: Work, step: Step): void {
  const random = world.random.fork(`step ${step.number}`)
  if (step.kind === 'part') {
    const inside = world.hosts.filter(({ name }) => step.hosts.includes(name))
    return cutOff(world, inside, step)
  }
  const host = world.hosts.find(({ name }) => name === step.host)
  if (host === undefined) return
  switch (step.kind) {
    case 'call':
      return work.call(host, threadOf(world, step.thread), random)
    case 'define':
      return void host.entrance.define(threadOf(world, step.thread), random)
    case 'forget':
      if (step.crashAfterMs !== undefined) {
        const crash = { how: ending(random), backMs: step.backMs }
        world.scheduler.after(step.crashAfterMs, `${host.name} ends`, () => endHost(world, host, crash))
      }
      return void host.entrance.forget(threadOf(world, step.thread), step.backMs)
    case 'crash':
      return endHost(world, host, step)
    case 'clock':
      return setClock(world, host, step)
    case 'restore':
      return restore(world, work, { ...step, host })
    case 'promote':
      return host.entrance.promote()
  }
}

function threadOf({ plan }: World, number: number): World['plan']['threads'][number] {
  const thread = plan.threads.find((each) => each.number === number)
  if (thread === undefined) throw new RangeError(`a step names thread ${number}, which there is not`)
  return thread
}

function setClock(
  { scheduler }: Pick<World, 'scheduler'>,
  host: SimHost,
  { skewMs, forMs }: { skewMs: number; forMs?: number },
): void {
  host.skewMs = skewMs
  scheduler.tell(`${host.name}  has its clock set ${signed(skewMs)} off`)
  if (forMs === undefined) return
  scheduler.after(forMs, `the clock of ${host.name} is set right`, () => {
    if (host.skewMs === skewMs) setClock({ scheduler }, host, { skewMs: 0 })
  })
}

function signed(ms: number): string {
  return `${ms < 0 ? '-' : '+'}${(Math.abs(ms) / 1000).toFixed(1)} s`
}

/** The others do not hear some hosts, for a time; nor do these hear them, unless it is one way only. */
function cutOff(
  { scheduler, network, hosts }: World,
  inside: readonly SimHost[],
  { forMs, oneWay }: { forMs: number; oneWay: boolean },
): void {
  const outside = hosts.filter((host) => !inside.includes(host))
  if (inside.length === 0 || outside.length === 0) return
  const undo: (() => void)[] = []
  for (const a of inside) {
    for (const b of outside) {
      undo.push(network.cut(a.id, b.id))
      if (!oneWay) undo.push(network.cut(b.id, a.id))
    }
  }
  const names = inside.map(({ name }) => name).join(' ')
  scheduler.tell(`the others do not hear ${names}${oneWay ? '' : ', nor do they hear the others'}`)
  scheduler.after(forMs, 'hosts hear each other again', () => {
    for (const each of undo) each()
    scheduler.tell(`${names} and the others hear each other again`)
  })
}

interface End {
  readonly how: Ending
  readonly backMs: number
  /** Time until the host ends. Default 0: within the write under way, if there is one. */
  readonly delayMs?: number
}

/** Ends a host, and starts it again later. */
function endHost(world: World, host: SimHost, { how, backMs, delayMs = 0 }: End): void {
  const { plan, scheduler } = world
  if (host.isDown) return
  if (how === 'stop') {
    host.stop().catch((error: unknown) => {
      // The last write of a host can fail too.
      if (plan.writeFailures > 0) host.crash('process')
      else fail(world, `${host.name} does not stop: ${String(error)}`)
    })
  } else {
    // Not within the step that asked: the host goes on until it waits.
    scheduler.after(delayMs, `${host.name} crashes`, () => host.crash(how))
  }
  scheduler.after(delayMs + backMs, `${host.name} is started again`, () => {
    if (host.isDown) host.start()
  })
}

/** Ends a host, replaces its disk by a copy from before its last writes, and starts it again later. */
function restore(world: World, work: Work, what: Restoring): void {
  const { host, backMs } = what
  if (host.isDown) return
  endHost(world, host, { how: 'process', backMs })
  world.scheduler.after(1, `the disk of ${host.name} is replaced`, () => replaceDisk(world, work, what))
}

function replaceDisk(world: World, work: Work, { host, writes, backMs, aloneMs }: Restoring): void {
  if (!host.isDown) return
  const written = host.disk.length
  const kept = host.restore(writes)
  if (kept === written) return
  world.scheduler.tell(`${host.name}  gets an older copy of its disk, without the last ${written - kept} writes`)
  work.restored(host, kept)
  if (aloneMs > 0) cutOff(world, [host], { forMs: backMs + aloneMs, oneWay: false })
}

interface Restoring {
  readonly host: SimHost
  readonly writes: number
  readonly backMs: number
  readonly aloneMs: number
}

/** From now on nothing goes wrong any more. Clocks that are wrong stay wrong, unless it is by a day. */
export function heal(world: World): void {
  world.trouble = false
  for (const host of world.hosts) if (isFarOff(host.skewMs)) host.skewMs = 0
  world.scheduler.tell('the trouble is over')
  world.network.heal()
  world.network.weather = FAIR
  for (const host of world.hosts) {
    host.disk.failures = 0
    if (host.isDown) host.start()
    else host.entrance.enterAll()
  }
}

/** Days go by in which nothing happens: what was written by clocks that were far ahead is not ahead of any more. */
export function passDays(world: World): void {
  world.scheduler.tell('days go by')
  for (const host of world.hosts) host.skewMs += FAR_MS.high
}
