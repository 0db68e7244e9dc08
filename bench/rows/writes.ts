import type { Bounds } from '../bounds.ts'
import { idOf, person } from '../document.ts'
import { type CpuMeter, type Repetition, type Row, repeated, sample, type Work } from '../measure.ts'
import type { Target, TargetDatabase } from '../target.ts'

const SPREAD = 16
const BATCH = 500
const DELETES = 200

/** Everything that writes, by documents a second. */
export async function writeRows(target: Target, bounds: Bounds, cpu: CpuMeter): Promise<Row[]> {
  const bound = (work: Work, limit: Work): Row => ({ ...work, name: `${target.name}: ${work.name}`, limit })
  const create = async (atOnce: number, databases: number): Promise<Work> => {
    const all = await Promise.all(Array.from({ length: databases }, () => target.newDatabase()))
    const where = databases === 1 ? '' : `, ${databases} databases`
    return repeated(`create 1 by 1, ${atOnce} in flight${where}`, { cpu, atOnce }, (index) =>
      all[index % databases]?.create([person(index)]),
    )
  }
  const inNew = async (name: string, each: number, task: (database: TargetDatabase, index: number) => unknown) => {
    const database = await target.newDatabase()
    const options: Repetition = { cpu, each }
    return repeated(name, options, (index) => task(database, index))
  }
  const created = (each: number): Promise<Work> =>
    inNew(`create ${each} in a call, documents`, each, (database, index) => database.create(people(index, each)))
  const saved = (each: number): Promise<Work> =>
    inNew(`transaction of ${each} saves, documents`, each, (database, index) =>
      database.transaction(people(index, each)),
    )
  return [
    bound(await create(1, 1), bounds.create),
    bound(await create(16, 1), bounds.createMany),
    bound(await create(64, 1), bounds.createMany),
    bound(await create(16, SPREAD), bounds.createMany),
    bound(await create(64, SPREAD), bounds.createMany),
    bound(await created(100), bounds.batch),
    bound(await created(BATCH), bounds.batch),
    bound(await saved(100), bounds.transaction),
    bound(await saved(500), bounds.transaction),
    bound(await saves(target, cpu), bounds.create),
    bound(await deletes(target, cpu), bounds.create),
  ]
}

/** Documents with these ids, whatever batch they are created in. */
function people(batch: number, length: number): Uint8Array[] {
  return Array.from({ length }, (_, index) => person(batch * length + index))
}

/** Creates so many documents in batches. */
export async function fill(database: TargetDatabase, documents: number, first = 0): Promise<void> {
  for (let at = 0; at < documents; at += BATCH) {
    const length = Math.min(BATCH, documents - at)
    await database.create(Array.from({ length }, (_, index) => person(first + at + index)))
  }
}

/** Each changes a document that is there. */
async function saves(target: Target, cpu: CpuMeter): Promise<Work> {
  const database = await target.newDatabase()
  await fill(database, BATCH)
  return repeated('save 1 by 1, 1 in flight', { cpu }, (index) =>
    database.save([person(index % BATCH, String(Math.floor(index / BATCH)))]),
  )
}

/** A round is so many deletes as were created for it. */
async function deletes(target: Target, cpu: CpuMeter): Promise<Work> {
  const database = await target.newDatabase()
  let first = 0
  return {
    name: 'delete 1 by 1, 1 in flight',
    async run() {
      await fill(database, DELETES, first)
      const end = first + DELETES
      return sample(cpu, async () => {
        while (first < end) await database.delete([idOf(first++)])
        return DELETES
      })
    },
  }
}
