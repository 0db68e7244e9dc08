import { idOf, person } from '../document.ts'
import { type CpuMeter, inFlight, type Row, sample, type Work } from '../measure.ts'
import type { Target, TargetDatabase } from '../target.ts'
import { fill } from './writes.ts'

const LOOK_MS = 5
const AT_ONCE = 64
const GIVE_UP_MS = 120_000

/** How fast one target takes over a database of another. Each round has a database of its own. */
export function replicationRows(
  [from, to]: readonly [Target, Target],
  { documents, limit, cpu }: { documents: number; limit: Work; cpu: CpuMeter },
): Row[] {
  const row = (unit: string, write: (database: TargetDatabase) => Promise<void>): Row => ({
    name: `${from.name}: replicate ${documents.toLocaleString('en')} documents, ${unit}`,
    limit,
    async run() {
      const database = await from.newDatabase()
      await write(database)
      // Those written with others in flight are stored in any order; this one is the last.
      await database.create([person(documents - 1)])
      return sample(cpu, () => joined(database, to, documents))
    },
  })
  return [
    row('one a record', (database) => inFlight(AT_ONCE, documents - 1, (index) => database.create([person(index)]))),
    row('500 a record', (database) => fill(database, documents - 1)),
  ]
}

/** From the call that joins until the last document is there. */
async function joined(database: TargetDatabase, to: Target, documents: number): Promise<number> {
  const givenUp = performance.now() + GIVE_UP_MS
  const copy = await to.join(await database.invitation())
  while (!(await isThere(copy, idOf(documents - 1)))) {
    if (performance.now() > givenUp)
      throw new Error(`after ${GIVE_UP_MS} ms not all of ${documents} documents were there`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  return documents
}

async function isThere(database: TargetDatabase, id: string): Promise<boolean> {
  try {
    await database.get(id)
    return true
  } catch {
    return false
  }
}
