/** What is measured of two targets that share databases. */
import { readFile } from 'node:fs/promises'
import { idOf, person } from './document.ts'
import type { Limit } from './limits.ts'
import { type Figure, inFlight, quantile, rate, type Scale } from './measure.ts'
import type { Target, TargetDatabase } from './target.ts'
import { batches, latencies } from './works.ts'

const LOOK_MS = 5
const IDLE_MS = 10_000

export async function measureReplication(
  from: Target,
  to: Target,
  { scale, limit }: { scale: Scale; limit: Limit },
): Promise<Figure[]> {
  const { documents } = scale
  const work = (text: string): string => `${from.name}: ${text}`
  const single = await from.newDatabase()
  await inFlight(64, documents, (index) => single.create([person(index)]))
  const perSecond = await joins(single, to, documents)
  const ofLimit = { limit: limit.limit, ratio: perSecond / limit.perSecond }
  const batched = await from.newDatabase()
  await batches(batched, documents)
  const shared = await from.newDatabase()
  const ms = await latencies(shared, await to.join(await shared.invitation()))
  return [
    { work: work(`replicate ${documents} documents, one a record`), value: perSecond, unit: '/s', ofLimit },
    {
      work: work(`replicate ${documents} documents, 500 a record`),
      value: await joins(batched, to, documents),
      unit: '/s',
    },
    { work: work('live change at the other host, median'), value: quantile(ms, 0.5), unit: 'ms' },
    { work: work('live change at the other host, 99 of 100'), value: quantile(ms, 0.99), unit: 'ms' },
  ]
}

/** Documents a second that arrive from the call that joins until the last is there. */
function joins(database: TargetDatabase, to: Target, documents: number): Promise<number> {
  return rate(documents, async () => {
    const joined = await to.join(await database.invitation())
    while (!(await isThere(joined, idOf(documents - 1)))) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    // Those written with others in flight may come in another order.
    for (;;) {
      const found = await joined.find(Buffer.from('{}'))
      if (found.length === documents) return
    }
  })
}

async function isThere(database: TargetDatabase, id: string): Promise<boolean> {
  try {
    await database.get(id)
    return true
  } catch {
    return false
  }
}

/** Share of one core that two targets take while nothing happens in the threads they share, in percent. */
export async function idleCpu(from: Target, to: Target, threads: number): Promise<Figure> {
  await inFlight(8, threads, async () => {
    const database = await from.newDatabase()
    await database.create([person(0)])
    await to.join(await database.invitation())
  })
  const cpu = async (): Promise<number> => (await cpuMs(from.pid)) + (await cpuMs(to.pid))
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
  const before = await cpu()
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
  const value = (100 * ((await cpu()) - before)) / IDLE_MS / 2
  return { work: `${from.name}: CPU of a daemon with ${threads} idle threads shared`, value, unit: '%' }
}

/** Time a process has run, in ms. Linux counts in hundredths of a second. */
async function cpuMs(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

/** Memory of a process that is in use now. */
export async function residentMib(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}
