import { compareBytes, equalBytes } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import { isCut, kindOfComponent } from '../indexes/entry.ts'
import type { Found } from './judge.ts'
import { compareValues, kindOf, type ValueKind } from './order.ts'
import type { ReadOrder } from './plan.ts'
import type { Sort } from './query.ts'
import { Ranking } from './ranking.ts'

/** Puts what is found in the order of the results. */
export interface Results {
  add(found: Found): void
  /** Whether nothing that may still be found changes the first `end` of them. */
  readonly isComplete: boolean
  /** The first `end` of them, or a few more. */
  all(): readonly Found[]
}

export interface ResultsOptions {
  /** As the instances are found. */
  readonly order: ReadOrder
  /** Absent for the order by id. */
  readonly sort: Sort | undefined
  /** Whether results are sorted by values, not by id. */
  readonly isByValue: boolean
  /** How many count; may be infinite. */
  readonly end: number
}

export function resultsOf(options: ResultsOptions): Results {
  if (options.order === 'results') return new InOrder(options)
  return options.order === 'index' ? new InIndexOrder(options) : new Ranked(options)
}

class InOrder implements Results {
  readonly #end: number
  readonly #found: Found[] = []

  constructor({ end }: ResultsOptions) {
    this.#end = end
  }

  get isComplete(): boolean {
    return this.#found.length >= this.#end
  }

  add(found: Found): void {
    this.#found.push(found)
  }

  all(): readonly Found[] {
    return this.#found
  }
}

/** Values that are cut alike come by id: they are put in order when the last of them is there. */
class InIndexOrder implements Results {
  readonly #options: ResultsOptions
  readonly #found: Found[] = []
  #cut: { readonly component: Uint8Array; readonly ranking: Ranking<Found> } | undefined

  constructor(options: ResultsOptions) {
    this.#options = options
  }

  get isComplete(): boolean {
    return this.#found.length >= this.#options.end
  }

  add(found: Found): void {
    const { component } = found
    if (this.#cut !== undefined && !equalBytes(this.#cut.component, component)) this.#flush()
    if (!isCut(component)) {
      this.#found.push(found)
      return
    }
    this.#cut ??= { component, ranking: new Ranking(this.#options.end, comparisonOf(this.#options)) }
    this.#cut.ranking.add(found)
  }

  all(): readonly Found[] {
    this.#flush()
    return this.#found
  }

  #flush(): void {
    for (const found of this.#cut?.ranking.sorted() ?? []) this.#found.push(found)
    this.#cut = undefined
  }
}

class Ranked implements Results {
  readonly isComplete = false
  readonly #ranking: Ranking<Found>

  constructor(options: ResultsOptions) {
    this.#ranking = new Ranking(options.end, comparisonOf(options))
  }

  add(found: Found): void {
    this.#ranking.add(found)
  }

  all(): readonly Found[] {
    return this.#ranking.sorted()
  }
}

function comparisonOf({ sort, isByValue }: ResultsOptions): (a: Found, b: Found) => number {
  const sign = sort?.desc === true ? -1 : 1
  if (!isByValue) return (a, b) => sign * compareBytes(a.key, b.key)
  return (a, b) => sign * compareValues(a.value, b.value) || compareBytes(a.key, b.key)
}

/** Throws INVALID_QUERY if several results are sorted by values that are not of one type. */
export function refuseMixedTypes(results: readonly Found[], { order, isByValue }: ResultsOptions): void {
  if (!isByValue || order === 'results' || results.length < 2) return
  const types = new Set(
    results.map((found) => typeOf(order === 'index' ? kindOfComponent(found.component) : kindOf(found.value))),
  )
  if (types.size > 1 || types.has(undefined)) {
    throw new ThreadsError('INVALID_QUERY', "sorting field doesn't correspond to instance type")
  }
}

/** `undefined` for what results cannot be sorted by. */
function typeOf(kind: ValueKind): string | undefined {
  if (kind === 'true' || kind === 'false') return 'boolean'
  return kind === 'missing' || kind === 'null' ? undefined : kind
}
