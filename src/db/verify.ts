/** Whether the databases of a store that no host has open are what their records make, and making them anew. */
import type { Clock } from '../core/clock.ts'
import { hasCode, ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { CheckedThread, StoredThread } from '../net/index.ts'
import { Findings } from '../store/findings.ts'
import { rowRange } from '../store/key-codec.ts'
import { type Mendable, removeRange } from '../store/mendable.ts'
import type { OrderedStore } from '../store/ordered-store.ts'
import { compareRows } from './compare-rows.ts'
import { type DatabaseDefinition, readDefinition } from './definition.ts'
import { FOLD_VERSION } from './fold/constants.ts'
import type { Position } from './fold/position.ts'
import { DERIVED, needsRebuild } from './rebuild.ts'
import { replay, type ReplayTarget } from './replay.ts'
import { createSandbox, type Sandbox } from './sandbox/index.ts'

export interface VerifyComponents {
  readonly store: Mendable
  readonly clock: Clock
  readonly logger: Logger
}

export interface DatabasesCheck {
  readonly databases: number
  readonly documents: number
  readonly indexEntries: number
  /** Makes those anew that are not what their records make. */
  mend(): Promise<void>
}

/** Looks at databases as often as it is asked to. */
export interface DatabaseVerifier {
  /**
   * Folds all records of each database again, into `scratch`, which is empty, and compares. Databases whose records cannot
   * be read are left out.
   */
  verify(
    threads: readonly CheckedThread[],
    options: { scratch: OrderedStore; findings: Findings },
  ): Promise<DatabasesCheck>
  /**
   * Makes the databases of these threads from their records, where nothing is made of them yet. Those that could not be
   * made are left to a host to make.
   */
  rebuild(threads: readonly StoredThread[]): Promise<{ databases: number; failures: readonly Failure[] }>
  close(): Promise<void>
}

/** A database that could not be made. */
export interface Failure {
  readonly id: ThreadId
  readonly reason: string
}

export function createVerifier({ store, clock, logger }: VerifyComponents): DatabaseVerifier {
  const sandbox = createSandbox({ logger, clock })
  return {
    async verify(threads, { scratch, findings }) {
      const check = new Check({ store, sandbox }, findings)
      for (const thread of threads) await check.verify(thread, scratch)
      return check
    },
    async rebuild(threads) {
      const check = new Check({ store, sandbox }, new Findings({ max: 0 }))
      const failures = await check.rebuild(threads)
      return { databases: check.databases, failures }
    },
    close: () => sandbox.close(),
  }
}

class Check implements DatabasesCheck {
  databases = 0
  documents = 0
  indexEntries = 0
  readonly #store: Mendable
  readonly #findings: Findings
  readonly #sandbox: Sandbox
  readonly #wrong: StoredThread[] = []

  constructor({ store, sandbox }: { store: Mendable; sandbox: Sandbox }, findings: Findings) {
    this.#store = store
    this.#findings = findings
    this.#sandbox = sandbox
  }

  async verify({ thread, foldable }: CheckedThread, scratch: OrderedStore): Promise<void> {
    const definition = definitionOf(thread)
    if (definition === undefined) return
    this.databases++
    if (definition === 'damaged') {
      return this.#findings.add({ thread: thread.id, what: DAMAGED })
    }
    const before = this.#findings.count
    const add = (what: string): void => this.#findings.add({ thread: thread.id, what })
    if (!foldable) add('the documents are not compared: records that made them are damaged')
    else if (needsRebuild(thread, definition)) add('the documents are yet to be made anew')
    else {
      try {
        await this.#compare(thread, definition, scratch)
      } catch (error) {
        if (!(error instanceof ThreadsError) || isOfStore(error)) throw error
        add(`the documents cannot be compared: ${error.message}`)
      }
    }
    if (this.#findings.count > before) this.#wrong.push(thread)
  }

  async mend(): Promise<void> {
    for (const thread of this.#wrong) await this.#rebuild(thread)
  }

  async rebuild(threads: readonly StoredThread[]): Promise<Failure[]> {
    const failures: Failure[] = []
    for (const thread of threads) {
      const definition = definitionOf(thread)
      if (definition === undefined) continue
      this.databases++
      try {
        if (definition === 'damaged') throw new ThreadsError('STORE_CORRUPT', 'its definition is damaged')
        await this.#rebuild(thread)
      } catch (error) {
        if (!(error instanceof ThreadsError) || isOfStore(error)) throw error
        failures.push({ id: thread.id, reason: error.message })
      }
    }
    return failures
  }

  async #compare(thread: StoredThread, definition: DatabaseDefinition, scratch: OrderedStore): Promise<void> {
    const target: ReplayTarget = { view: scratch, store: (operations) => scratch.batch(operations, { sync: false }) }
    const cursors = await replay(sourceOf(thread), target, { definition, judge: this.#judge })
    for (const [log, { counter, time }] of thread.cursors()) {
      const what = `the cursor at record ${counter} has another time than its records`
      // Of a branch of which nothing is folded yet the time does not matter.
      const base = thread.branches().get(log)?.base ?? 0
      if (counter > base && cursors.get(log)?.time !== time)
        this.#findings.add({ thread: thread.id, log, counter, what })
    }
    const { documents, indexEntries } = await compareRows({
      thread: thread.number,
      definition,
      stored: this.#store.reads,
      made: scratch,
      writer: async (position) => (await thread.recordOf(position)).author,
      report: (what, position) => this.#findings.add({ thread: thread.id, what, ...placeOf(position) }),
    })
    this.documents += documents
    this.indexEntries += indexEntries
  }

  /** Into the next generation, as a host does; but nobody reads meanwhile, so what is left of others goes first. */
  async #rebuild(thread: StoredThread): Promise<void> {
    const definition = readDefinition(thread.appData)
    if (definition === undefined) return
    // Cut off, it is taken up by the next start of the host.
    await thread.spoil()
    const next = { ...definition, generation: definition.generation + 1, foldVersion: FOLD_VERSION }
    await this.#removeRows(thread, definition.generation)
    const target: ReplayTarget = { view: this.#store.reads, store: (operations) => this.#store.mend(operations) }
    const cursors = await replay(sourceOf(thread), target, { definition: next, judge: this.#judge })
    await thread.rebuilt(cursors, next)
    await this.#removeRows(thread, next.generation)
  }

  async #removeRows({ number }: StoredThread, kept: number): Promise<void> {
    for (const letter of DERIVED) {
      const all = rowRange(letter, number)
      const inUse = rowRange(letter, number, kept)
      await removeRange(this.#store, { gte: all.gte, lt: inUse.gte })
      await removeRange(this.#store, { gte: inUse.lt, lt: all.lt })
    }
  }

  readonly #judge = {
    judge: (requests: Parameters<Sandbox['judge']>[0]) => this.#sandbox.judge(requests, { budget: 'judge' }),
  }
}

/** Of a definition. */
const DAMAGED =
  'the definition of the database, with its schemas and validators, is damaged. No record holds it, so it is not mended: ' +
  'see that a peer has all records of the thread, delete the database here and join it again; or restore a backup'

function definitionOf({ appData }: StoredThread): DatabaseDefinition | 'damaged' | undefined {
  try {
    const definition = readDefinition(appData)
    return definition === undefined || isUsable(definition) ? definition : 'damaged'
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) return 'damaged'
    throw error
  }
}

/** Whether a definition has what everybody takes for granted. It comes from no record, so it cannot be made anew. */
function isUsable({ name, generation, lastIndex, collections, validators }: DatabaseDefinition): boolean {
  const known: unknown[] = [name, ...collections.flatMap((each) => [each.name, each.schema, each.shownSchema])]
  const functions = collections.flatMap((each): unknown[] => [each.writeValidator, each.readFilter])
  const rules = validators.flatMap(({ collection, list }): unknown[] => [
    collection,
    ...list.flatMap(({ validator, judge }) => [validator, judge]),
  ])
  const paths = collections.flatMap((each) =>
    each.indexes.flatMap(({ fields }) => fields.map(({ path }): unknown => path)),
  )
  const numbers = [generation, lastIndex, ...collections.flatMap((each) => each.indexes.map((index) => index.number))]
  const texts = [...known, ...functions, ...rules, ...paths]
  return texts.every((each) => typeof each === 'string') && numbers.every((each) => Number.isSafeInteger(each))
}

/** Failures that say nothing about one database. */
function isOfStore(error: ThreadsError): boolean {
  return hasCode(error, 'STORE_FAILED') || hasCode(error, 'CLOSED')
}

function sourceOf(thread: StoredThread): Parameters<typeof replay>[0] {
  return {
    thread: thread.number,
    chains: new Map([...thread.cursors()].map(([chain, { counter }]) => [chain, counter])),
    branches: thread.branches(),
    record: thread.record.bind(thread),
    recordOf: thread.recordOf.bind(thread),
  }
}

function placeOf(position: Position | undefined): { log?: string; counter?: number } {
  return position === undefined ? {} : { log: position.logId, counter: position.counter }
}
