/** What the compiler knows of documents. Compiled with the project, never run. */
import type { Database } from '../../src/client/index.ts'

declare const db: Database

interface Person {
  _id: string
  name: string
  tags: string[]
  role?: 'cook' | 'baker'
  open: boolean
  parent?: Person
  address?: { city: string; street: { number: number } }
}

const people = db.collection<Person>('Person')

export async function byTypeParameter(): Promise<void> {
  const [first] = await people.find(
    { 'address.street.number': { $lt: 3 }, 'parent.parent.name': 'Ada', role: 'cook', open: true, _mod: { $gt: 3 } },
    { sort: { 'address.city': -1 }, skip: 1, limit: 2 },
  )
  const id: string = await people.create({ name: 'Ada', tags: [], open: true })
  const ids: string[] = await people.create([{ _id: 'a', name: 'Ada', tags: [], open: true }])
  if (first !== undefined) await people.save({ ...first, _id: id, tags: ids })
  // @ts-expect-error -- there is no such member
  await people.find({ nmae: 'Ada' })
  // @ts-expect-error -- nor inside of alternatives
  await people.find({ $or: [{ nmae: 'Ada' }] })
  // @ts-expect-error -- of another type
  await people.find({ name: 3 })
  // @ts-expect-error -- none of the values there are
  await people.find({ role: 'smith' })
  // @ts-expect-error -- booleans have no order
  await people.find({ open: { $lt: true } })
  // @ts-expect-error -- lists cannot be compared
  await people.find({ tags: 'x' })
  // @ts-expect-error -- nor objects
  await people.find({ address: { city: 'Graz' } })
  // @ts-expect-error -- nothing to sort by
  await people.find({}, { sort: { nmae: 1 } })
  // @ts-expect-error -- a member is missing
  await people.create({ name: 'Ada', tags: [] })
  // @ts-expect-error -- only a document with an id can be saved
  await people.save({ name: 'Ada', tags: [], open: true })
}

export async function bySchema(): Promise<void> {
  const animals = await db.createCollection({
    name: 'Animal',
    schema: {
      properties: {
        _id: { type: 'string' },
        name: { type: 'string' },
        age: { type: 'number' },
        home: { type: 'object', properties: { city: { type: 'string' } } },
      },
      required: ['_id', 'name'],
    },
  })
  const [first] = await animals.find({ name: 'Ada', age: { $gte: 3 }, 'home.city': 'Graz' })
  const known: { name: string; age?: number | undefined } | undefined = first
  await animals.create({ name: known?.name ?? '' })
  // @ts-expect-error -- of another type
  await animals.find({ name: 3 })
  // @ts-expect-error -- a required member is missing
  await animals.create({ age: 3 })
}

export async function ofUnknownDocuments(): Promise<void> {
  const any = db.collection('Any')
  await any.find({ 'a.b': 3, $or: [{ x: { $ne: true } }] }, { sort: { x: 1 } })
  await any.create({ x: [1, 2] })
  const read = await db.createCollection({ name: 'Read', schema: JSON.parse('{}') })
  const widened = { properties: { _id: { type: 'string' } } }
  const loose = await db.createCollection({ name: 'Loose', schema: widened })
  await loose.create({ whatever: 1 })
  await db.updateCollection({ name: 'Loose', schema: widened })
  const value: unknown = (await read.get('a'))?.['member']
  await any.create({ value })
}

export async function ofUpdates(): Promise<string[]> {
  const names: string[] = []
  for await (const update of await people.listen()) {
    if (update.kind === 'created' || update.kind === 'saved') names.push(update.document.name)
    // @ts-expect-error -- a deleted document is not told
    if (update.kind === 'deleted') names.push(update.document.name)
  }
  return names
}
