import { compareBytes, concatBytes } from '../../core/bytes.ts'
import { prefixRange } from '../../store/key-codec.ts'
import type { KeyRange } from '../../store/ordered-store.ts'
import { entryParts, indexPrefix } from '../indexes/entry.ts'
import { instanceRange } from '../rows.ts'
import type { Candidate } from './candidates.ts'
import type { Plan, PlanPlace } from './plan.ts'

/** Reads the entries of the index that a plan goes by. */
export class EntryReader {
  readonly #index: NonNullable<Plan['index']>['definition']
  readonly #prefix: Uint8Array
  /** What the keys of all instances of the collection begin with; the id follows as it does in entries. */
  readonly #instancePrefix: Uint8Array
  /** Absent if all instances count. */
  readonly #part: KeyRange | undefined

  constructor({ instances, isPart }: Plan, { definition }: NonNullable<Plan['index']>, place: PlanPlace) {
    this.#index = definition
    this.#prefix = indexPrefix(place, definition)
    this.#instancePrefix = instanceRange(place.thread, place.generation, place.collection).gte
    this.#part = isPart ? instances : undefined
  }

  /** The instance an entry leads to, unless it does not count. */
  read(entry: Uint8Array): Candidate | undefined {
    const { component, id } = entryParts(entry, this.#prefix.length, this.#index)
    const key = concatBytes(this.#instancePrefix, id)
    const part = this.#part
    if (part !== undefined && (compareBytes(key, part.gte) < 0 || compareBytes(key, part.lt) >= 0)) return undefined
    return { key, component }
  }

  /** All entries of a value. */
  rangeOf(component: Uint8Array): KeyRange {
    return prefixRange(concatBytes(this.#prefix, component))
  }
}
