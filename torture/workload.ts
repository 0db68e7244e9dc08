/** Clients that write, and know what must be there afterwards. */
import { AGES, INDEX_PATH } from '../bench/document.ts'
import type { TargetDatabase } from '../bench/target.ts'

const WRITERS = 4
const LOOK_MS = 1

/** JSON of a document; `undefined` if there is none. */
type State = string | undefined

interface Write {
  readonly id: string
  readonly state: State
}

/** Of one client, which makes one write after the other. */
interface Writer {
  readonly name: string
  /** Those that were answered, in order. */
  readonly acknowledged: Write[]
  /** The one whose outcome nobody knows. */
  unknown: Write | undefined
}

export class Workload {
  readonly #writers: Writer[]
  #running = false

  /** Documents of two workloads with different names do not meet. */
  constructor(name: string) {
    this.#writers = Array.from({ length: WRITERS }, (_, index) => {
      return { name: `${name}-${index}`, acknowledged: [], unknown: undefined }
    })
  }

  /** Writes answered so far. */
  get acknowledged(): number {
    return this.#writers.reduce((sum, writer) => sum + writer.acknowledged.length, 0)
  }

  /** Resolves when so many more are answered. A run must be under way. */
  async progress(count: number): Promise<void> {
    const goal = this.acknowledged + count
    while (this.acknowledged < goal && this.#running) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }

  /** Writes until a write fails at every client, or until the signal. Answers why the first one failed. */
  async run(database: TargetDatabase, signal?: AbortSignal): Promise<Error | undefined> {
    this.#running = true
    const reasons = await Promise.all(this.#writers.map((writer) => writeOn(writer, database, signal)))
    this.#running = false
    return reasons.find((reason) => reason !== undefined)
  }

  /** Throws unless all that was answered is there, nothing else is, and the index says the same. */
  async check(database: TargetDatabase): Promise<void> {
    const found = await readAll(database)
    for (const writer of this.#writers) {
      const states = statesOf(writer.acknowledged)
      const { unknown } = writer
      if (unknown !== undefined && found.get(unknown.id) === unknown.state) {
        states.set(unknown.id, unknown.state)
        writer.acknowledged.push(unknown)
      }
      writer.unknown = undefined
      const different = difference(states, found, writer.name)
      if (different !== undefined) throw new Error(different)
    }
    await checkIndex(database, found)
  }

  /**
   * The same where the end of the log may be lost: of each client a part of the writes from the first on, and no other,
   * has its effect. Answers how many writes are lost.
   */
  async checkUpToSomeEnd(database: TargetDatabase): Promise<number> {
    const found = await readAll(database)
    let lost = 0
    for (const { name, acknowledged, unknown } of this.#writers) {
      const all = unknown === undefined ? acknowledged : [...acknowledged, unknown]
      let end = all.length
      while (difference(statesOf(all.slice(0, end)), found, name) !== undefined) {
        if (--end < 0) throw new Error(`the documents of ${name} are not those of any part of its writes`)
      }
      lost += Math.max(0, acknowledged.length - end)
    }
    await checkIndex(database, found)
    return lost
  }
}

async function writeOn(writer: Writer, database: TargetDatabase, signal?: AbortSignal): Promise<Error | undefined> {
  const isOver = (): boolean => signal?.aborted === true
  for (let count = writer.acknowledged.length; !isOver(); count++) {
    const write = nextWrite(writer, count)
    writer.unknown = write
    try {
      if (write.state === undefined) await database.delete([write.id])
      else if (count % 10 < 6) await database.create([Buffer.from(write.state)])
      else await database.save([Buffer.from(write.state)])
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
    writer.acknowledged.push(write)
    writer.unknown = undefined
  }
  return undefined
}

/** Of ten writes six create, three save what was created shortly before, and one deletes it. */
function nextWrite({ name }: Writer, count: number): Write {
  const [base, kind] = [count - (count % 10), count % 10]
  const id = `${name}-${kind < 6 ? count : base + kind - 6}`
  if (kind === 9) return { id, state: undefined }
  return { id, state: JSON.stringify({ _id: id, age: (count * 7) % AGES, version: count }) }
}

function statesOf(writes: readonly Write[]): Map<string, State> {
  return new Map(writes.map(({ id, state }) => [id, state]))
}

async function readAll(database: TargetDatabase): Promise<Map<string, string>> {
  const documents = await database.find(Buffer.from('{}'))
  return new Map(documents.map((document) => [idOf(document), contentOf(document)]))
}

function idOf(document: Uint8Array): string {
  return (JSON.parse(Buffer.from(document).toString()) as { _id: string })._id
}

/** Without what the database adds. */
function contentOf(document: Uint8Array): string {
  const { _id, age, version } = JSON.parse(Buffer.from(document).toString()) as Record<string, unknown>
  return JSON.stringify({ _id, age, version })
}

/** What is different first; `undefined` if nothing is. */
function difference(
  expected: ReadonlyMap<string, State>,
  found: ReadonlyMap<string, string>,
  prefix: string,
): string | undefined {
  for (const [id, state] of expected) {
    if (found.get(id) !== state) return `${id} is ${found.get(id) ?? 'not there'}, expected ${state ?? 'nothing'}`
  }
  for (const id of found.keys()) {
    if (id.startsWith(`${prefix}-`) && !expected.has(id)) return `${id} is there and was never written`
  }
  return undefined
}

async function checkIndex(database: TargetDatabase, found: ReadonlyMap<string, string>): Promise<void> {
  const byAge = Map.groupBy(found, ([, state]) => (JSON.parse(state) as { age: number }).age)
  for (let age = 0; age < AGES; age++) {
    const query = { ands: [{ fieldPath: INDEX_PATH, operation: 0, value: { float: age } }] }
    const indexed = await database.find(Buffer.from(JSON.stringify(query)))
    const ids = indexed.map(idOf).toSorted().join()
    const expected = (byAge.get(age) ?? [])
      .map(([id]) => id)
      .toSorted()
      .join()
    if (ids !== expected) throw new Error(`the index has ${ids || 'nothing'} for ${age}, the documents ${expected}`)
  }
}
