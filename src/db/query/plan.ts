/** Decides which rows can hold the results of a query, and in which order they are read. */
import { compareBytes, concatBytes } from '../../core/bytes.ts'
import { prefixRange } from '../../store/key-codec.ts'
import type { KeyRange } from '../../store/ordered-store.ts'
import type { IndexDefinition } from '../indexes/definition.ts'
import { encodeComponent, indexPrefix, type IndexPlace, isCut } from '../indexes/entry.ts'
import { MAX_INSTANCE_ID_BYTES } from '../fold/constants.ts'
import { instanceKey, instanceRange } from '../rows.ts'
import { matchesAll } from './match.ts'
import { ID_PATH } from './path.ts'
import type { Criterion, Query } from './query.ts'

export interface PlanPlace extends IndexPlace {
  readonly collection: string
  readonly indexes: readonly IndexDefinition[]
  /** Documents are changed or hidden before they are matched: what is stored tells nothing about them. */
  readonly filtered: boolean
}

/**
 * The order in which instances are read: that of the results; by the value of the index, which is that of the results but
 * for long values that are cut; or another one.
 */
export type ReadOrder = 'results' | 'index' | 'other'

export interface Plan {
  /** Rows of instances outside do not count; by id. */
  readonly instances: KeyRange
  /** Whether `instances` leaves out a part of the collection. */
  readonly isPart: boolean
  /** Entries to go by; without them all rows of `instances` are read. */
  readonly index?: { readonly definition: IndexDefinition; readonly range: KeyRange }
  readonly order: ReadOrder
  /** Every instance that is read fits the criteria. */
  readonly decided: boolean
}

/** `undefined` if nothing can be found. */
export function planQuery(query: Query, place: PlanPlace): Plan | undefined {
  const { index: wished, sort } = query
  if (wished && wished !== ID_PATH && !place.indexes.some((each) => pathOf(each) === wished)) {
    return undefined
  }
  const ids = instancesOf(query, place)
  if (ids === undefined) return undefined
  const choice = place.filtered || isOneInstance(query) ? undefined : chooseIndex(query, place)
  if (choice === undefined) {
    return { ...ids, order: byId(query, place) ? 'results' : 'other', decided: isDecided(query, place, undefined) }
  }
  const { definition } = choice
  const range = rangeOf(choice, place)
  if (compareBytes(range.gte, range.lt) >= 0) return undefined
  const order = orderOf(choice, sort)
  const isReverse = sort?.desc === true && (order === 'index' || sort.path === ID_PATH)
  const index = { definition, range: { ...range, reverse: order !== 'other' && isReverse } }
  return { ...ids, index, order, decided: isDecided(query, place, choice) }
}

/** Entries of one value stand in the order of ids, as do results of one value. */
function orderOf({ definition, kind }: Choice, sort: Query['sort']): ReadOrder {
  const isByValue = sort?.path === pathOf(definition)
  if (kind === 'equal' && (sort === undefined || sort.path === ID_PATH || isByValue)) return 'results'
  return isByValue ? 'index' : 'other'
}

/** Whether the rows, or the entries of an index, are those that fit the criteria, and no others. */
function isDecided(query: Query, { filtered }: PlanPlace, choice: Choice | undefined): boolean {
  if (matchesAll(query)) return true
  const { ands = [], ors = [] } = query
  if (filtered || ors.length > 0) return false
  return ands.every((criterion) => {
    if (criterion.path === ID_PATH) return criterion.operation !== 'ne'
    return choice !== undefined && choice.isExact && choice.criteria.includes(criterion)
  })
}

/** Whether results come by id, so that rows stand in their order. */
function byId({ sort }: Query, { filtered }: PlanPlace): boolean {
  return sort === undefined || (sort.path === ID_PATH && !filtered)
}

/** The rows that `seek` and criteria on the id leave. */
function instancesOf(query: Query, place: PlanPlace): Pick<Plan, 'instances' | 'isPart'> | undefined {
  const { collection, thread, generation, filtered } = place
  const range = instanceRange(thread, generation, collection)
  const descending = query.sort?.path === ID_PATH && query.sort.desc === true
  const bounds: Criterion[] = filtered ? [] : necessary(query, ID_PATH)
  if (query.seek) bounds.push({ path: ID_PATH, operation: descending ? 'le' : 'ge', value: query.seek })
  for (const { operation, value } of bounds) {
    if (typeof value !== 'string') return undefined
    // No id is as long as this part of a longer text, so that both compare alike to all ids.
    const id = value.slice(0, MAX_INSTANCE_ID_BYTES + 1)
    narrow(range, prefixRange(instanceKey(thread, generation, { collection, id })), operation)
  }
  if (compareBytes(range.gte, range.lt) >= 0) return undefined
  return { instances: { ...range, reverse: descending && !filtered }, isPart: bounds.length > 0 }
}

/** Limits a range to what compares to the keys of a value as `operation` says. */
function narrow(range: KeyRange, keys: KeyRange, operation: Criterion['operation']): void {
  if (operation === 'eq' || operation === 'ge') range.gte = later(range.gte, keys.gte)
  if (operation === 'gt') range.gte = later(range.gte, keys.lt)
  if (operation === 'eq' || operation === 'le') range.lt = earlier(range.lt, keys.lt)
  if (operation === 'lt') range.lt = earlier(range.lt, keys.gte)
}

function later(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) < 0 ? b : a
}

function earlier(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) < 0 ? a : b
}

/** Criteria on a path that every result fits, and that leave a range of values. */
function necessary({ ands = [], ors = [] }: Query, path: string): Criterion[] {
  if (ors.length > 0) return []
  return ands.filter((criterion) => criterion.path === path && criterion.operation !== 'ne')
}

function isOneInstance(query: Query): boolean {
  return necessary(query, ID_PATH).some((criterion) => criterion.operation === 'eq')
}

interface Choice {
  readonly definition: IndexDefinition
  readonly criteria: readonly Criterion[]
  /** How the index helps: entries of one value, of a range of values, or just in the order of the sort. */
  readonly kind: 'equal' | 'range' | 'sort'
  /** No value of a criterion is cut: the entries tell all there is to know of it. */
  readonly isExact: boolean
}

/** Lower is better. An index for the order pays only if reading can stop early. */
const WORTH: Readonly<Record<Choice['kind'], number>> = { equal: 0, range: 1, sort: 2 }

function chooseIndex(query: Query, { indexes }: PlanPlace): Choice | undefined {
  const choices: Choice[] = []
  for (const definition of indexes) {
    if (!definition.ready || definition.fields.length !== 1 || definition.fields[0]?.desc !== false) continue
    const path = pathOf(definition)
    const criteria = necessary(query, path).filter(isRange)
    const choice = { definition, criteria, isExact: !criteria.some(({ value }) => isCut(encodeComponent(value))) }
    if (criteria.some((criterion) => criterion.operation === 'eq')) choices.push({ ...choice, kind: 'equal' })
    else if (criteria.length > 0) choices.push({ ...choice, kind: 'range' })
    else if (query.sort?.path === path && query.limit) choices.push({ ...choice, kind: 'sort' })
  }
  const wished = choices.find(({ definition }) => pathOf(definition) === query.index)
  return wished ?? choices.toSorted((a, b) => WORTH[a.kind] - WORTH[b.kind])[0]
}

/** A boolean is equal or less, so other comparisons of booleans are no range of entries. */
function isRange({ operation, value }: Criterion): boolean {
  return typeof value !== 'boolean' || operation === 'eq'
}

/** The entries that fit the criteria on the path of an index, and some more where values are cut. */
function rangeOf({ definition, criteria }: Choice, place: IndexPlace): KeyRange {
  const prefix = indexPrefix(place, definition)
  const range = prefixRange(prefix)
  for (const { operation, value } of criteria) {
    const component = encodeComponent(value)
    // Only values of the type of the criterion can fit: those with its tag.
    if (typeof value !== 'boolean') narrow(range, prefixRange(concatBytes(prefix, component.subarray(0, 1))), 'eq')
    narrow(range, prefixRange(concatBytes(prefix, component)), isCut(component) ? withEqual(operation) : operation)
  }
  return range
}

/** Values that are cut alike may still be on either side. */
function withEqual(operation: Criterion['operation']): Criterion['operation'] {
  if (operation === 'gt') return 'ge'
  return operation === 'lt' ? 'le' : operation
}

function pathOf(index: IndexDefinition): string {
  return index.fields[0]?.path ?? ''
}
