import { textOfUtf8 } from '../src/core/bytes.ts'
import { hasCode } from '../src/core/errors.ts'
import { ThreadDatabase } from '../src/db/database.ts'
import type { Database, Update } from '../src/db/index.ts'
import { documentOfInstance, readInstanceKey } from '../src/db/rows.ts'
import type { ChangeKind, Commit } from '../src/store/commit.ts'
import { decodeJournalRow } from '../src/store/journal-row.ts'
import { parseKey } from '../src/store/key-codec.ts'
import type { Operation } from '../src/store/ordered-store.ts'
import type { Running, SimHost } from './host.ts'
import { fail, type World } from './world.ts'

/** A listener of a database, in one life of its host. */
interface Listening {
  /** Host-local number of the thread. */
  readonly number: number
  /** Last commit before it began to listen. */
  readonly after: number
  readonly told: string[]
  readonly running: Running
}

/** What a host told those who listen. */
export class Watch {
  readonly #host: SimHost
  readonly #world: World
  /** Commits that were visible, by number: what was told once must stay. Goes on where it was after a crash. */
  readonly #seen = new Map<number, string>()
  readonly #listening: Listening[] = []
  #last = 0

  constructor(host: SimHost, world: World) {
    this.#host = host
    this.#world = world
  }

  /** Follows the journal from where the last life left off. */
  follow(running: Running): void {
    this.#follow(running).catch((error: unknown) => this.#ended(running, error))
  }

  listen(running: Running, database: Database): void {
    if (!(database instanceof ThreadDatabase)) throw new TypeError('a database of another kind')
    const { number } = database.thread
    const { lastSeq } = running.net.journal
    const listening: Listening = { number, after: lastSeq, told: [], running }
    this.#listening.push(listening)
    this.#take(listening, database.listen()).catch((error: unknown) => this.#ended(running, error))
  }

  async #follow(running: Running): Promise<void> {
    for (;;) {
      for await (const update of running.net.journal.subscribe({ after: this.#last })) {
        if (!running.life.alive) return
        if (update.kind === 'resync') {
          fail(this.#world, `${this.#host.name} lost the commits after ${this.#last}, it is at ${update.seq}`)
          return
        }
        const { seq } = update.commit
        if (seq > this.#last + 1) fail(this.#world, `${this.#host.name} left out the commits before ${seq}`)
        this.#seen.set(seq, describeCommit(update.commit))
        this.#last = Math.max(this.#last, seq)
      }
    }
  }

  async #take(listening: Listening, updates: AsyncIterable<Update>): Promise<void> {
    for await (const { collection, id, kind, document } of updates) {
      if (!listening.running.life.alive) return
      listening.told.push(describeChange({ collection, id, kind }, document && textOfUtf8(document)))
    }
  }

  #ended(running: Running, error: unknown): void {
    if (!running.life.alive || hasCode(error, 'CLOSED')) return
    fail(this.#world, `a listener of ${this.#host.name} ends: ${String(error)}`)
  }

  /** Compares what was told with what is on disk now. */
  check(): void {
    const commits = readCommits(this.#host.disk.history)
    for (const [seq, text] of this.#seen) {
      const stored = commits.get(seq)
      if (stored?.text !== text) {
        const now = stored === undefined ? 'it is gone' : `it is ${stored.text}`
        fail(this.#world, `${this.#host.name} told of commit ${seq}, ${text}, and now ${now}`)
        return
      }
    }
    for (const [seq, { changes, done }] of commits) {
      if (changes.toSorted().join() === done.toSorted().join()) continue
      fail(this.#world, `${this.#host.name} tells of ${changes.join()} in commit ${seq}, it did ${done.join()}`)
      return
    }
    for (const listening of this.#listening) this.#checkListener(listening, commits)
  }

  #checkListener({ number, after, told, running }: Listening, commits: ReadonlyMap<number, StoredCommit>): void {
    const expected: string[] = []
    for (const [seq, { thread, changes }] of [...commits].toSorted(([a], [b]) => a - b)) {
      if (seq > after && thread === number) expected.push(...changes)
    }
    const isOver = !running.life.alive
    // What is read back after a failed write comes with the document as it is then.
    const compared = this.#world.plan.writeFailures > 0 ? withoutDocument : (text: string) => text
    const wrong = told.findIndex((text, index) => compared(text) !== compared(expected[index] ?? ''))
    const { name } = this.#host
    if (wrong >= 0) {
      fail(this.#world, `update ${wrong} of a listener of ${name} was ${told[wrong]}, not ${expected[wrong]}`)
    } else if (!isOver && told.length < expected.length) {
      fail(this.#world, `a listener of ${name} got ${told.length} of ${expected.length} updates`)
    }
  }
}

interface StoredCommit {
  readonly thread: number
  readonly text: string
  readonly changes: readonly string[]
  /** What its batch did to documents, read from their rows. */
  readonly done: readonly string[]
}

/** The commits on a disk, with the documents that were stored with them. */
function readCommits(history: readonly (readonly Operation[])[]): Map<number, StoredCommit> {
  const commits = new Map<number, StoredCommit>()
  const documents = new Map<string, string>()
  let done = new Map<string, string>()
  for (const operation of history.flat()) {
    if (operation.type !== 'put') continue
    const key = parseKey(operation.key)
    if (key.letter === 'd') {
      const instance = readInstanceKey(operation.key)
      const name = `${key.number()}/${instance.collection}/${instance.id}`
      const change = changeOf(documents, name, documentOfInstance(operation.value))
      if (change !== undefined) done.set(name, describeChange({ ...instance, kind: change.kind }, change.after))
    } else if (key.letter === 'f') {
      const { commit } = decodeJournalRow(key.number(), operation.value)
      const { thread } = commit
      const changes = commit.changes.map((change) => {
        return describeChange(change, documents.get(`${thread}/${change.collection}/${change.id}`))
      })
      commits.set(commit.seq, { thread, text: describeCommit(commit), changes, done: [...done.values()] })
      done = new Map()
    }
  }
  return commits
}

function changeOf(
  documents: Map<string, string>,
  name: string,
  bytes: Uint8Array | undefined,
): { kind: ChangeKind; after: string | undefined } | undefined {
  const before = documents.get(name)
  const after = bytes && textOfUtf8(bytes)
  if (after === undefined) documents.delete(name)
  else documents.set(name, after)
  if (before === after) return undefined
  if (before === undefined) return { kind: 'created', after }
  return { kind: after === undefined ? 'deleted' : 'saved', after }
}

function withoutDocument(text: string): string {
  return text.split(' ', 2).join(' ')
}

function describeCommit({ thread, heads, changes }: Commit): string {
  const moves = heads.map(({ log, from, to }) => `log ${log} ${from}-${to}`)
  return [`thread ${thread}`, ...moves, ...changes.map((change) => describeChange(change, undefined))].join(', ')
}

function describeChange(
  { kind, collection, id }: { kind: string; collection: string; id: string },
  document: string | undefined,
): string {
  return `${kind} ${collection}/${id}${document === undefined ? '' : ` ${document}`}`
}
