/** What is measured of every target. */
import { AGES, idOf, INDEX_PATH, person } from './document.ts'
import type { Limits } from './limits.ts'
import { type Figure, inFlight, quantile, rate, type Scale } from './measure.ts'
import type { Target, TargetDatabase } from './target.ts'

const SPREAD = 16
const BATCH = 500
const TRANSACTION = 100
const LATENCIES = 200

/** The limits that bind the works of a target. */
export type Bound = Pick<Limits, 'create' | 'createMany'>

/** All figures of one target, in the order of the table. Answers also a database with all documents. */
export async function measure(
  target: Target,
  scale: Scale,
  bound: Bound,
): Promise<{ figures: Figure[]; database: TargetDatabase }> {
  const figures: Figure[] = []
  const add = (work: string, value: number, ofLimit?: { limit: string; perSecond: number }): void => {
    const share = ofLimit && { ofLimit: { limit: ofLimit.limit, ratio: value / ofLimit.perSecond } }
    figures.push({ work: `${target.name}: ${work}`, value, unit: '/s', ...share })
  }
  add('create 1 by 1, 1 in flight', await creates(target, { ...scale, atOnce: 1, databases: 1 }), bound.create)
  add('create 1 by 1, 16 in flight', await creates(target, { ...scale, atOnce: 16, databases: 1 }), bound.createMany)
  add('create 1 by 1, 64 in flight', await creates(target, { ...scale, atOnce: 64, databases: 1 }), bound.createMany)
  const spread = { ...scale, atOnce: 64, databases: SPREAD }
  add(`create 1 by 1, 64 in flight, ${SPREAD} databases`, await creates(target, spread), bound.createMany)
  add(`transactions of ${TRANSACTION} saves`, await transactions(target, scale))

  const database = await target.newDatabase()
  add(`create in batches of ${BATCH}, documents`, await batches(database, scale.documents))
  add('save 1 by 1, 1 in flight', await saves(database, scale.writes))
  for (const [work, value] of await reads(database, scale)) add(work, value)
  const ms = await listenLatencies(target)
  const unit = 'ms'
  figures.push({ work: `${target.name}: live change to a listener, median`, value: quantile(ms, 0.5), unit })
  figures.push({ work: `${target.name}: live change to a listener, 99 of 100`, value: quantile(ms, 0.99), unit })
  add('delete 1 by 1, 1 in flight', await deletes(target, Math.ceil(scale.writes / 2)))
  return { figures, database }
}

async function creates(
  target: Target,
  { writes, atOnce, databases }: Scale & { atOnce: number; databases: number },
): Promise<number> {
  const all = await Promise.all(Array.from({ length: databases }, () => target.newDatabase()))
  const count = atOnce === 1 ? Math.ceil(writes / 2) : writes
  return rate(count, () => inFlight(atOnce, count, async (index) => all[index % databases]?.create([person(index)])))
}

/** Documents created in a database, in batches. */
export async function batches(database: TargetDatabase, documents: number): Promise<number> {
  return rate(documents, async () => {
    for (let at = 0; at < documents; at += BATCH) {
      const length = Math.min(BATCH, documents - at)
      await database.create(Array.from({ length }, (_, index) => person(at + index)))
    }
  })
}

async function transactions(target: Target, { writes }: Scale): Promise<number> {
  const database = await target.newDatabase()
  const documents = Array.from({ length: TRANSACTION }, (_, index) => person(index))
  const count = Math.ceil(writes / TRANSACTION)
  return rate(count, async () => {
    for (let times = 0; times < count; times++) await database.transaction(documents)
  })
}

function saves(database: TargetDatabase, writes: number): Promise<number> {
  const count = Math.ceil(writes / 2)
  return rate(count, () => inFlight(1, count, (index) => database.save([person(index, 'y')])))
}

async function deletes(target: Target, count: number): Promise<number> {
  const database = await target.newDatabase()
  await batches(database, count)
  return rate(count, () => inFlight(1, count, (index) => database.delete([idOf(index)])))
}

async function reads(database: TargetDatabase, { documents, reads: count }: Scale): Promise<[string, number][]> {
  const get = (index: number): Promise<unknown> => database.get(idOf((index * 7919) % documents))
  const few = Math.ceil(count / 10)
  const find = (times: number, expected: number, query: (index: number) => object): Promise<number> =>
    rate(times, () =>
      inFlight(1, times, async (index) => {
        const found = await database.find(Buffer.from(JSON.stringify(query(index))))
        if (found.length !== expected) throw new Error(`found ${found.length} documents, not ${expected}`)
      }),
    )
  const perAge = documents / AGES
  return [
    ['get by id, 1 in flight', await rate(count, () => inFlight(1, count, get))],
    ['get by id, 64 in flight', await rate(count, () => inFlight(64, count, get))],
    [
      `find of ${perAge} in ${documents}, index named`,
      await find(few, perAge, (index) => ({ ...ofAge(index), index: INDEX_PATH })),
    ],
    [`find of ${perAge} in ${documents}, index not named`, await find(few, perAge, ofAge)],
    [`range of ${5 * perAge} in ${documents}`, await find(Math.ceil(few / 5), 5 * perAge, ofFiveAges)],
    [`10 highest of ${documents} without an index`, await find(5, 10, () => HIGHEST)],
    [`all ${documents}`, await find(3, documents, () => ({}))],
  ]
}

const HIGHEST = { sort: { fieldPath: 'name', desc: true }, limit: 10 }

function ofAge(index: number): object {
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

/** Time from the call of a create to its document at a listener of another stream, in ms. */
async function listenLatencies(target: Target): Promise<number[]> {
  const database = await target.newDatabase()
  return latencies(database, database)
}

/** Time from the call of a create in one database to its document at a listener of another, in ms. */
export async function latencies(from: TargetDatabase, to: TargetDatabase): Promise<number[]> {
  const ending = new AbortController()
  const heard = to.listen(ending.signal)[Symbol.asyncIterator]()
  let index = 0
  let news = heard.next()
  for (let isHeard = false; !isHeard; ) {
    await from.create([person(index++)])
    isHeard = await Promise.race([
      news.then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, 50, false)),
    ])
  }
  // What was created before it was heard may still come.
  const ms: number[] = []
  while (ms.length < LATENCIES) {
    const document = Buffer.from(person(index++))
    const { _id: id } = JSON.parse(document.toString()) as { _id: string }
    const started = performance.now()
    await from.create([document])
    do news = heard.next()
    while (!Buffer.from((await news).value ?? '').includes(id))
    ms.push(performance.now() - started)
  }
  ending.abort()
  await heard.return?.(undefined)
  return ms
}
