/** A validator or filter that wants what it must not have, and what is to come of it. */
export interface Attack {
  readonly name: string
  readonly kind: 'validator' | 'filter'
  /** The body of the function. */
  readonly source: string
  /** One call for each: what a create brings, or what the filter is shown. */
  readonly documents: readonly object[]
  /** The document before the create. */
  readonly instance: object | undefined
  /**
   * The outcomes of the calls, joined by ` | `, the same on every host. Of a validator: `accepted`, or the reason and the
   * message without the words that stand before every refusal. Of a filter: `hidden`, what it shows, or `failed: ` and the
   * message; a failure fails all calls.
   */
  readonly expected: string
}

interface Given {
  documents?: readonly object[]
  instance?: object
}

export function validator(name: string, source: string, expected: string, given: Given = {}): Attack {
  const { documents = [{}], instance } = given
  return { name, kind: 'validator', source, documents, instance, expected }
}

export function filter(name: string, source: string, expected: string, given: Given = {}): Attack {
  const { documents = [{ _id: 'a', name: 'Fido' }] } = given
  return { name, kind: 'filter', source, documents, instance: undefined, expected }
}

/** Attacks when the document says so, otherwise tells whether anything of that is left: called before, with and after. */
export function leftover(name: string, attack: string, clean: string): Attack {
  const source = `if (event.patch.json_patch.attack) { try { ${attack} } catch {} return 'attacked' } return ${clean}`
  const documents = [{}, { attack: true }, {}]
  return {
    name,
    kind: 'validator',
    source,
    documents,
    instance: undefined,
    expected: 'accepted | denied: attacked | accepted',
  }
}

/** What the author's host allows, as refusals say it. */
export const OUT_OF = {
  steps: 'limit: validator timed out: more than 10000000 steps',
  work: 'limit: validator timed out: more than 150000000 units of work inside built-ins',
  memory: 'limit: validator ran out of memory: more than 64 MiB',
  stack: 'limit: validator ran out of stack: more than 96 KiB',
  threadStack: 'limit: validator ran out of stack: more than 320 KiB of its thread',
} as const
