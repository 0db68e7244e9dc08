import type { Daemon } from './daemon.ts'

export interface Difference {
  /** Documents that are not the same on both, or missing on one. */
  readonly count: number
  /** Documents of A. */
  readonly total: number
  readonly examples: readonly string[]
}

const PAGE = 5_000
const SHOWN = 5

/** Reads all documents of both daemons and compares them as texts, members sorted by name. */
export async function compare(
  world: { a: Daemon; b: Daemon; dbID: Uint8Array },
  collection: string,
): Promise<Difference> {
  const ofA = await readAll(world.a, world.dbID, collection)
  const ofB = await readAll(world.b, world.dbID, collection)
  const differing = [...new Set([...ofA.keys(), ...ofB.keys()])].filter((id) => ofA.get(id) !== ofB.get(id))
  const examples = differing
    .slice(0, SHOWN)
    .map((id) => `${ofA.get(id) ?? 'missing'} on A, ${ofB.get(id) ?? 'missing'} on B`)
  return { count: differing.length, total: ofA.size, examples }
}

async function readAll(daemon: Daemon, dbID: Uint8Array, collection: string): Promise<Map<string, string>> {
  const all = new Map<string, string>()
  for (let seek = ''; ; ) {
    const page = await daemon.client.find(dbID, collection, { sort: { fieldPath: '_id' }, seek, limit: PAGE })
    for (const text of page) {
      const document = JSON.parse(text) as Record<string, unknown> & { _id: string }
      all.set(document._id, JSON.stringify(Object.entries(document).toSorted(([a], [b]) => (a < b ? -1 : 1))))
      seek = document._id
    }
    if (page.length < PAGE) return all
  }
}
