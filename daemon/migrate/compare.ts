import { compareText } from '../../src/core/bytes.ts'
import type { CollectionConfig, LogHead } from '../../src/client/node/index.ts'

/**
 * How many records of `held` are not in `other`, told by the counters of their logs; 1 for a log without counter that
 * has another head. An empty log and none are the same, as are no logs and a thread that is not there.
 */
export function lacking(held: readonly LogHead[] = [], other: readonly LogHead[] = []): number {
  const others = new Map(other.map((log) => [log.id, log]))
  const counts = held.map(({ id, head, counter }) => {
    const log = others.get(id)
    if (head === '' || head === log?.head) return 0
    return counter === 0 ? 1 : Math.max(0, counter - (log?.counter ?? 0))
  })
  return sum(counts)
}

/** Whether both have the same newest record in every log. As each record names the one before it, all are the same then. */
export function sameHeads(a: readonly LogHead[], b: readonly LogHead[]): boolean {
  return headsText(a) === headsText(b)
}

/** As far as the counters tell. */
export function recordsOf(logs: readonly LogHead[]): number {
  return sum(logs.map(({ counter }) => counter))
}

/** Names of collections of `a` that `b` lacks or defines in another way. */
export function otherCollections(a: readonly CollectionConfig[], b: readonly CollectionConfig[]): string[] {
  const others = new Map(b.map((each) => [each.name, configText(each)]))
  return a.filter((each) => others.get(each.name) !== configText(each)).map(({ name }) => name)
}

function headsText(logs: readonly LogHead[]): string {
  const heads = logs.filter(({ head }) => head !== '').map(({ id, head }) => `${id} ${head}`)
  return heads.toSorted(compareText).join('\n')
}

/** Daemons list the members of a schema, and indexes, each in its own order. */
function configText({ schema, indexes, writeValidator, readFilter }: CollectionConfig): string {
  const paths = indexes.map(({ path, unique }) => `${path} ${unique}`).toSorted(compareText)
  return JSON.stringify([sorted(JSON.parse(Buffer.from(schema).toString())), paths, writeValidator, readFilter])
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).toSorted(([a], [b]) => compareText(a, b))
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
