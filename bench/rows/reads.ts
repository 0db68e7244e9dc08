import type { Bounds } from '../bounds.ts'
import { AGES, idOf, INDEX_PATH } from '../document.ts'
import { type CpuMeter, type Row, repeated, type Work } from '../measure.ts'
import type { Target } from '../target.ts'
import { fill } from './writes.ts'

export const DOCUMENTS = 10_000
const PER_AGE = DOCUMENTS / AGES

/** Everything that reads, from one collection of 10,000 documents, in calls a second. */
export async function readRows(target: Target, bounds: Bounds, cpu: CpuMeter): Promise<Row[]> {
  const database = await target.newDatabase()
  await fill(database, DOCUMENTS)
  const row = (work: Work, limit: Work): Row => ({ ...work, name: `${target.name}: ${work.name}`, limit })
  const get = (atOnce: number): Work =>
    repeated(`get by id, ${atOnce} in flight`, { cpu, atOnce }, (index) =>
      database.get(idOf((index * 7919) % DOCUMENTS)),
    )
  const find = (name: string, expected: number, query: (index: number) => object): Work =>
    repeated(name, { cpu }, async (index) => {
      const found = await database.find(Buffer.from(JSON.stringify(query(index))))
      if (found.length !== expected) throw new Error(`found ${found.length} documents, not ${expected}`)
    })
  const of = `of ${DOCUMENTS.toLocaleString('en')}`
  return [
    row(get(1), bounds.get),
    row(get(64), bounds.getMany),
    row(
      find(`find ${PER_AGE} ${of}, index named`, PER_AGE, (index) => ({ ...ofAge(index), index: INDEX_PATH })),
      bounds.found(PER_AGE),
    ),
    row(find(`find ${PER_AGE} ${of}, index not named`, PER_AGE, ofAge), bounds.found(PER_AGE)),
    row(find(`range of ${5 * PER_AGE} ${of}`, 5 * PER_AGE, ofFiveAges), bounds.found(5 * PER_AGE)),
    row(
      find(`10 highest ${of} by the index`, 10, () => highest(INDEX_PATH)),
      bounds.found(10),
    ),
    row(
      find(`10 highest ${of} without an index`, 10, () => highest('name')),
      bounds.search,
    ),
    row(
      find(`all ${DOCUMENTS.toLocaleString('en')}`, DOCUMENTS, () => ({})),
      bounds.all(DOCUMENTS),
    ),
  ]
}

function highest(fieldPath: string): object {
  return { sort: { fieldPath, desc: true }, limit: 10 }
}

export function ofAge(index: number): object {
  return { ands: [criterion(0, index % AGES)] }
}

function ofFiveAges(index: number): object {
  const from = index % (AGES - 5)
  return { ands: [criterion(4, from), criterion(3, from + 5)] }
}

/** A comparison as the wire has it; by number: 0 equal, 3 less, 4 greater or equal. */
function criterion(operation: number, float: number): object {
  return { fieldPath: INDEX_PATH, operation, value: { float } }
}
