/**
 * Mistakes made in the sources of the project, in memory only, before they are loaded. Each replaces one piece of text,
 * which stands in its file exactly once: where the sources changed, the mutant says so and must be brought up to date.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

interface Mutant {
  readonly file: string
  readonly text: string
  readonly becomes: string
}

export type MutantName =
  | 'no-replay'
  | 'current-verdict'
  | 'kept-verdict'
  | 'stale-refusal'
  | 'no-tombstone'
  | 'null-kept'
  | 'since-ignored'
  | 'index-not-rolled-back'
  | 'unique-in-batch'
  | 'early-answer'
  | 'early-announcement'
  | 'peers-told-early'
  | 'never-synced'
  | 'cursor-alone'
  | 'never-admitted'
  | 'log-continued'
  | 'half-deleted'
  | 'never-pulled'
  | 'never-compared'
  | 'heads-left-out'
  | 'told-in-vain'
  | 'token-off-by-one'
  | 'told-twice'
  | 'refold-untold'

export const MUTANTS: Readonly<Record<MutantName, Mutant>> = {
  /** Late records go on top of what is there; what came after them is not taken again. */
  'no-replay': {
    file: 'db/fold/lane.ts',
    text: 'return lane.row !== undefined && comparePositions(lane.row.position, position) >= 0',
    becomes: 'return false',
  },
  /** Validators see the document as it is now, not as it was before the record. */
  'current-verdict': {
    file: 'db/fold/walk.ts',
    text: 'const instance = this.#laneOf(keyName({ collection: event.collection, id: event.id })).state.document?.bytes',
    becomes: `const lane = this.#laneOf(keyName({ collection: event.collection, id: event.id }))
      const instance = lane.row === undefined ? lane.state.document?.bytes : lane.row.document`,
  },
  /** Verdicts stay when the documents they rest on change. */
  'kept-verdict': {
    file: 'db/fold/walk.ts',
    text: 'stop.rejudge || judged.some((each) => this.#changed(each))',
    becomes: 'stop.rejudge',
  },
  /** A record that is accepted after all stays in the list of refusals. */
  'stale-refusal': {
    file: 'db/fold/store-state.ts',
    text: 'of result.refusals.clear)',
    becomes: 'of result.refusals.clear.slice(1))',
  },
  /** Nothing is kept of a deleted document, so that a late record brings it back. */
  'no-tombstone': {
    file: 'db/fold/store-state.ts',
    text: 'instance.after === undefined ?',
    becomes: 'instance.after?.document === undefined ?',
  },
  /** Members that a patch removes stay, with the value null. */
  'null-kept': {
    file: 'db/json.ts',
    text: 'if (change === undefined || change === null) delete',
    becomes: 'if (change === undefined) delete',
  },
  /** The newest validator judges, whatever the time of the record. */
  'since-ignored': {
    file: 'db/fold/validator-list.ts',
    text: 'findLast(({ since }) => since <= time)',
    becomes: 'findLast(() => true)',
  },
  /** Index entries of what was there before stay when a document changes. */
  'index-not-rolled-back': {
    file: 'db/folder.ts',
    text: '{ before: old, after',
    becomes: '{ before: old && undefined, after',
  },
  /** A value of a unique index may be written twice, in one batch. */
  'unique-in-batch': {
    file: 'db/indexes/maintain.ts',
    text: 'if (taken.has(value) || ',
    becomes: 'if (',
  },
  /** The caller is answered before the write is stored. */
  'early-answer': {
    file: 'db/database.ts',
    text: 'await stored\n    return result',
    becomes: 'return result',
  },
  /** Listeners hear of commits before they are synced. */
  'early-announcement': {
    file: 'store/committer.ts',
    text: 'if (synced) this.#announce()\n',
    becomes: 'this.#announce()\n    if (synced) this.#cancelSync?.()\n',
  },
  /** Peers are shown, and get, records that are stored here and not synced yet. */
  'peers-told-early': {
    file: 'net/thread-entry.ts',
    text: 'if (stored === synced) return stored\n',
    becomes: 'if (stored !== undefined) return stored\n',
  },
  /** With relaxed durability nothing is ever synced. */
  'never-synced': {
    file: 'store/committer.ts',
    text: '() => this.#requestSync())',
    becomes: '() => this.#announce())',
  },
  /** The cursors of received records move without the effect of the records. */
  'cursor-alone': {
    file: 'net/writer.ts',
    text: 'draft.operations(outcome.operations)',
    becomes: 'if (local) draft.operations(outcome.operations)',
  },
  /** A record ahead of the clock is never looked at again. */
  'never-admitted': {
    file: 'net/writer.ts',
    text: "case 'clock':\n",
    becomes: "case 'clock':\n        return undefined\n",
  },
  /** After a failed write the host goes on with logs that it may not have. */
  'log-continued': {
    file: 'net/threads.ts',
    text: 'else entry.reset(state)',
    becomes: '',
  },
  /** A deletion that was cut off is not taken up again. */
  'half-deleted': {
    file: 'net/net.ts',
    text: 'for (const state of deleting) this.#deleteInBackground(state)',
    becomes: 'for (const state of deleting.slice(1)) this.#deleteInBackground(state)',
  },
  /** What a push did not bring is never asked for. */
  'never-pulled': {
    file: 'net/replication/replication.ts',
    text: 'this.#exchange.start()',
    becomes: '{}',
  },
  /** Hosts with a new stream of Sync do not compare what they have. */
  'never-compared': {
    file: 'net/sync/reconciler.ts',
    text: 'this.#handlers.send([wholeRange(this.#shared())])',
    becomes: '',
  },
  /** Comparing threads, hosts overlook that their records differ. */
  'heads-left-out': {
    file: 'net/sync/ranges.ts',
    text: 'view.setBigUint64(8, chains ?? heads)',
    becomes: '',
  },
  /** What a peer tells on a stream of Sync is not asked for. */
  'told-in-vain': {
    file: 'net/sync/reconciler.ts',
    text: 'if (lacking.size > 0)',
    becomes: 'if (lacking.size > 1_000)',
  },
  /** Whoever resumes misses one commit. */
  'token-off-by-one': {
    file: 'store/journal.ts',
    text: 'options.after ?? this.#announced,',
    becomes: 'Math.min((options.after ?? this.#announced) + 1, this.#announced),',
  },
  /** Listeners hear of deletions twice. */
  'told-twice': {
    file: 'db/listen.ts',
    text: 'if (told !== undefined) yield {',
    becomes: `if (told?.kind === 'deleted') yield { ...told, token: components.token(place) }
      if (told !== undefined) yield {`,
  },
  /** Listeners do not hear what late records did to documents that were there. */
  'refold-untold': {
    file: 'db/fold/store-state.ts',
    text: 'if (change !== undefined) changes.push(change)',
    becomes: `const isLate = instance.before?.position.time === instance.after?.position.time
    if (change !== undefined && !isLate) changes.push(change)`,
  },
}

export function isMutant(name: string): name is MutantName {
  return name in MUTANTS
}

/** How often the text of a mutant stands in its file; once, if the mutant is up to date. */
export function placesOf(name: MutantName): number {
  return sourceOf(name).split(MUTANTS[name].text).length - 1
}

function sourceOf(name: MutantName): string {
  return readFileSync(urlOf(name), 'utf8')
}

function urlOf(name: MutantName): URL {
  return new URL(`../src/${MUTANTS[name].file}`, import.meta.url)
}

/** Makes the mistake in what this thread imports from now on. Throws if the sources do not hold its text once. */
export function mutate(name: MutantName): void {
  const { file, text, becomes } = MUTANTS[name]
  if (placesOf(name) !== 1) throw new Error(`${name}: src/${file} does not hold its text once; see sim/mutants.ts`)
  const url = urlOf(name).href
  const source = sourceOf(name).replace(text, () => becomes)
  registerHooks({
    load(loaded, context, next) {
      const module = next(loaded, context)
      return loaded === url ? { ...module, source } : module
    },
  })
}
