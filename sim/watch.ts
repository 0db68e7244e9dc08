import { textOfUtf8 } from '../src/core/bytes.ts'
import { hasCode } from '../src/core/errors.ts'
import { ThreadDatabase } from '../src/db/database.ts'
import type { Database, Update } from '../src/db/index.ts'
import { documentOfInstance, readInstanceKey } from '../src/db/rows.ts'
import { decodeThreadRow } from '../src/net/rows.ts'
import type { ChangeKind, Commit } from '../src/store/commit.ts'
import { decodeJournalRow } from '../src/store/journal-row.ts'
import { parseKey } from '../src/store/key-codec.ts'
import type { Operation } from '../src/store/ordered-store.ts'
import { Follower } from './follower.ts'
import type { Running, SimHost } from './host.ts'
import type { SeededRandom } from './random.ts'
import { fail, type World } from './world.ts'

/** A listener of a database. After a crash it goes on where it was, if it was told anything. */
interface Listening {
  /** Host-local number of the thread. */
  readonly number: number
  /** Last commit before it began to listen. */
  readonly after: number
  readonly told: string[]
  /** Where it would go on. */
  token: Uint8Array | undefined
  /** It went on, and may get documents as they are now. */
  wasResumed: boolean
  running: Running
  /** Collections registered when it began. Of others it hears once they are. */
  readonly collections: ReadonlySet<string>
  /** The database was deleted, or the listener fell behind. */
  isOver: boolean
}

/** Longest rest of a follower that takes its time, after each commit. */
const SLOW_MS = 4_000

/** What a host told those who listen. */
export class Watch {
  readonly #host: SimHost
  readonly #world: World
  /** One that reads at once, and one that takes its time. */
  readonly #followers: readonly Follower[]
  readonly #listening: Listening[] = []

  constructor(host: SimHost, world: World, random: SeededRandom) {
    this.#host = host
    this.#world = world
    this.#followers = [0, SLOW_MS].map(
      (restMs) => new Follower(host, world, { restMs, random, describe: describeCommit }),
    )
  }

  /** Follows the journal from where the last life left off. */
  follow(running: Running): void {
    for (const follower of this.#followers) follower.follow(running)
  }

  /** Listens to a database. The collections it has are told from now on. */
  async listen(running: Running, database: Database): Promise<void> {
    if (!(database instanceof ThreadDatabase)) throw new TypeError('a database of another kind')
    const { number } = database.thread
    const { lastSeq } = running.net.journal
    const left = this.#listening.findLast((each) => each.number === number && !each.isOver)
    if (left?.token !== undefined) {
      Object.assign(left, { running, wasResumed: true })
      return this.#begin(left, database.listen([], { after: left.token }))
    }
    const updates = database.listen()
    const collections = new Set((await database.listCollections()).map(({ name }) => name))
    const begun = { told: [], token: undefined, wasResumed: false, isOver: false }
    const listening: Listening = { ...begun, number, after: lastSeq, running, collections }
    this.#listening.push(listening)
    this.#begin(listening, updates)
  }

  /** The host has an older copy of its disk: who follows it begins anew, as after a resync. */
  restored(): void {
    const commits = [...readCommits(this.#host.disk.history).keys()]
    const last = commits.reduce((newest, seq) => Math.max(newest, seq), 0)
    for (const follower of this.#followers) follower.restored(last)
    this.#listening.length = 0
  }

  #begin(listening: Listening, updates: AsyncIterable<Update>): void {
    const { running } = listening
    this.#take(listening, updates).catch((error: unknown) => this.#ended({ listening, running, error }))
  }

  async #take(listening: Listening, updates: AsyncIterable<Update>): Promise<void> {
    const { running } = listening
    for await (const { collection, id, kind, document, token } of updates) {
      if (!running.life.alive) return
      listening.token = token
      listening.told.push(describeChange({ collection, id, kind }, document && textOfUtf8(document)))
    }
    // A host that stops ends them too, and they go on when it is back.
    if (this.#host.running === running) listening.isOver = true
  }

  #ended({ listening, running, error }: { listening: Listening; running: Running; error: unknown }): void {
    if (!running.life.alive || hasCode(error, 'CLOSED')) return
    // What a burst of commits pushes out of a small journal is told to nobody any more.
    if (hasCode(error, 'UPDATES_LOST') && this.#host.planned.feedBytes !== undefined) {
      listening.isOver = true
      return
    }
    fail(this.#world, `a listener of ${this.#host.name} ends: ${String(error)}`)
  }

  /** Compares what was told with what is on disk now. */
  check(): void {
    const commits = readCommits(this.#host.disk.history)
    for (const [seq, text] of this.#followers.flatMap(({ seen }) => [...seen])) {
      const stored = commits.get(seq)
      if (stored?.text !== text) {
        const now = stored === undefined ? 'it is gone' : `it is ${stored.text}`
        fail(this.#world, `${this.#host.name} told of commit ${seq}, ${text}, and now ${now}`)
        return
      }
    }
    for (const [seq, { changes, done }] of commits) {
      const told = changes.map(({ text }) => text)
      if (told.toSorted().join() === done.toSorted().join()) continue
      fail(this.#world, `${this.#host.name} tells of ${told.join()} in commit ${seq}, it did ${done.join()}`)
      return
    }
    for (const listening of this.#listening) this.#checkListener(listening, commits)
  }

  /** What was told must be what happened, in order; nothing that had to be told may be left out. */
  #checkListener(listening: Listening, commits: ReadonlyMap<number, StoredCommit>): void {
    const { told, running } = listening
    const { name } = this.#host
    const compared = this.#mayReadBack(listening) ? withoutDocument : (text: string) => text
    const expected = this.#expected(listening, commits)
    let next = 0
    for (const [index, text] of told.entries()) {
      while (next < expected.length && compared(expected[next]?.text ?? '') !== compared(text)) {
        if (expected[next]?.isSure === true) break
        next++
      }
      const wanted = expected[next]?.text ?? 'nothing'
      if (compared(wanted) !== compared(text)) {
        return fail(this.#world, `update ${index} of a listener of ${name} was ${text}, not ${wanted}`)
      }
      next++
    }
    const missed = expected.slice(next).find(({ isSure }) => isSure)
    if (running.life.alive && !listening.isOver && missed !== undefined) {
      fail(this.#world, `a listener of ${name} got ${told.length} updates, and not ${missed.text}`)
    }
  }

  /** What is read back from the disk comes with the document as it is then. */
  #mayReadBack({ wasResumed }: Listening): boolean {
    return wasResumed || this.#world.plan.writeFailures > 0
  }

  #expected(listening: Listening, commits: ReadonlyMap<number, StoredCommit>): Expected[] {
    const { number, after, collections } = listening
    const expected: Expected[] = []
    for (const [seq, { thread, changes }] of [...commits].toSorted(([a], [b]) => a - b)) {
      if (seq <= after || thread !== number) continue
      for (const { collection, text } of changes) expected.push({ text, isSure: collections.has(collection) })
    }
    if (!this.#mayReadBack(listening)) return expected
    // Nothing is told if the document is deleted by then.
    return expected.map(({ text, isSure }, index) => {
      const [, name] = text.split(' ', 2)
      const deleted = expected.slice(index + 1).some((later) => later.text === `deleted ${name}`)
      return { text, isSure: isSure && !deleted }
    })
  }
}

interface Expected {
  readonly text: string
  /** It must be told. */
  readonly isSure: boolean
}

interface StoredChange {
  readonly collection: string
  readonly text: string
}

interface StoredCommit {
  readonly thread: number
  readonly text: string
  readonly changes: readonly StoredChange[]
  /** What its batch did to documents, read from their rows. */
  readonly done: readonly string[]
}

/** The commits on a disk, with the documents that were stored with them. */
function readCommits(history: readonly (readonly Operation[])[]): Map<number, StoredCommit> {
  const commits = new Map<number, StoredCommit>()
  const documents = new Map<string, string>()
  let done = new Map<string, string>()
  /** Threads whose rows go with them, which is no change of documents. */
  const deleted = new Set<number>()
  for (const operation of history.flat()) {
    const isPut = operation.type === 'put'
    const key = parseKey(operation.key)
    if (key.letter === 'd') {
      const instance = readInstanceKey(operation.key)
      const thread = key.number()
      if (deleted.has(thread)) continue
      const name = `${thread}/${instance.collection}/${instance.id}`
      const change = changeOf(documents, name, isPut ? documentOfInstance(operation.value) : undefined)
      if (change !== undefined) done.set(name, describeChange({ ...instance, kind: change.kind }, change.after))
    } else if (key.letter === 't' && isPut) {
      const { number, phase } = decodeThreadRow(key.number(), operation.value)
      if (phase === 'deleting') deleted.add(number)
    } else if (key.letter === 'f' && isPut) {
      const { commit } = decodeJournalRow(key.number(), operation.value)
      const { thread } = commit
      const changes = commit.changes.map((change) => {
        const text = describeChange(change, documents.get(`${thread}/${change.collection}/${change.id}`))
        return { collection: change.collection, text }
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
  const moves = heads.map(({ log, from, to }) => `records ${from + 1} to ${to} of log row ${log}`)
  const told = changes.map((change) => describeChange(change, undefined))
  return [`thread row ${thread}`, ...moves, ...told].join(', ')
}

function describeChange(
  { kind, collection, id }: { kind: string; collection: string; id: string },
  document: string | undefined,
): string {
  return `${kind} ${collection}/${id}${document === undefined ? '' : ` ${document}`}`
}
