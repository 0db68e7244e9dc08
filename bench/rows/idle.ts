import { person } from '../document.ts'
import { type Figure, inFlight } from '../measure.ts'
import { cpuMsOf } from '../processes.ts'
import type { Target } from '../target.ts'

const SETTLE_MS = 10_000
const IDLE_MS = 20_000

/** Share of one core that each of two targets takes while nothing happens in the threads they share. */
export async function idleCpu(from: Target, to: Target, threads: number): Promise<Figure> {
  await inFlight(8, threads, async () => {
    const database = await from.newDatabase()
    await database.create([person(0)])
    await to.join(await database.invitation())
  })
  const cpu = async (): Promise<number> => (await cpuMsOf(from.pid)) + (await cpuMsOf(to.pid))
  await pause(SETTLE_MS)
  const before = await cpu()
  await pause(IDLE_MS)
  const value = (100 * ((await cpu()) - before)) / IDLE_MS / 2
  return {
    work: `${from.name}: CPU of a daemon with ${threads.toLocaleString('en')} idle threads shared`,
    value,
    unit: '%',
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
