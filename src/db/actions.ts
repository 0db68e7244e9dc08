/**
 * From calls to events: what create, save and delete of documents become before they are one record. Each action is
 * made against the documents a view shows; nothing is written here.
 */
import { hasCode, ThreadsError } from '../core/errors.ts'
import { MAX_DOCUMENT_BYTES, MAX_EVENTS_PER_RECORD } from './fold/constants.ts'
import type { FoldEvent } from './fold/well-formed.ts'
import { instanceId, parseInstance } from './instance-input.ts'
import {
  type Document,
  diffPatch,
  documentBytes,
  fullPatch,
  member,
  mergeDocument,
  parseStored,
  withMember,
} from './json.ts'
import type { CollectionSchema } from './schema/compile.ts'

/** A write of a transaction: the event without its time. */
export type Action = Omit<FoldEvent, 'timestamp'>

export interface ActionContext {
  readonly collection: string
  readonly schema: CollectionSchema
  /** The stored document, unfiltered. */
  stored(id: string): Promise<Uint8Array | undefined>
  /** What the transaction has done to the instance before, in order. */
  earlier(id: string): readonly Action[]
  /** The stored document as the caller may see it. */
  served(id: string): Promise<Uint8Array | undefined>
  newId(): string
  /** Value for `_mod`: ns since 1970, growing. */
  modified(): number
}

/** Throws INVALID_INSTANCE, INSTANCE_EXISTS. */
export async function createAction(bytes: Uint8Array, context: ActionContext): Promise<Action> {
  const sent = parseInstance(bytes)
  const document = instanceId(sent) === '' ? withMember(sent, '_id', context.newId()) : sent
  refuseMisfit(document, context.schema)
  const id = idOf(document)
  if ((await context.stored(id)) !== undefined) throw instanceExists()
  return action('create', { id, collection: context.collection, patch: modified(document, context) })
}

/** Throws INVALID_INSTANCE, TOO_LARGE. */
export async function saveAction(bytes: Uint8Array, context: ActionContext): Promise<Action> {
  const document = parseInstance(bytes)
  refuseMisfit(document, context.schema)
  const id = idOf(document)
  const stored = await context.stored(id)
  const previous = stored === undefined ? {} : await visible(id, context)
  const next = modified(document, context)
  const change = diffPatch(previous, next)
  // What the committed document says already, an earlier write of the transaction may say otherwise.
  const earlier = context.earlier(id)
  const patch = earlier.length > 0 ? fullPatch(change, next) : change
  const made = action('save', { id, collection: context.collection, patch })
  refuseTooLarge(stored, [...earlier, made])
  return made
}

export function deleteAction(id: string, context: Pick<ActionContext, 'collection'>): Action {
  return action('delete', { id, collection: context.collection, patch: undefined })
}

/** Throws INSTANCE_EXISTS if a create meets an instance that the same transaction wrote before. */
export function refuseSecondCreate(actions: readonly Action[]): void {
  const written = new Set<string>()
  for (const { type, collection, id } of actions) {
    const key = `${collection}/${id}`
    if (type === 'create' && written.has(key)) {
      throw new ThreadsError('INSTANCE_EXISTS', "cant't create already existent instance")
    }
    if (type === 'delete') written.delete(key)
    else written.add(key)
  }
}

/** Throws TOO_LARGE if a record cannot hold so many writes. */
export function refuseTooMany(count: number): void {
  if (count > MAX_EVENTS_PER_RECORD) {
    throw new ThreadsError('TOO_LARGE', `${count} writes at once, at most ${MAX_EVENTS_PER_RECORD} are allowed`, {
      hint: 'Split them into several transactions.',
    })
  }
}

/** More never fits into a record. Keeps a transaction that cannot be committed from filling the memory. */
const MAX_PATCH_BYTES = 4 * 1024 * 1024

/** The writes of a transaction under way. */
export class ActionList {
  readonly #actions: Action[] = []
  #bytes = 0

  get all(): readonly Action[] {
    return this.#actions
  }

  /** Takes all of them; or none, throwing TOO_LARGE. */
  add(actions: readonly Action[]): void {
    const bytes = actions.reduce((sum, { patch }) => sum + (patch?.length ?? 0), this.#bytes)
    refuseTooMany(this.#actions.length + actions.length)
    if (bytes > MAX_PATCH_BYTES) {
      throw new ThreadsError('TOO_LARGE', `the writes have ${bytes} bytes, at most ${MAX_PATCH_BYTES} are allowed`, {
        hint: 'Split them into several transactions.',
      })
    }
    this.#bytes = bytes
    for (const each of actions) this.#actions.push(each)
  }

  clear(): void {
    this.#actions.length = 0
    this.#bytes = 0
  }
}

export function instanceExists(): ThreadsError {
  return new ThreadsError('INSTANCE_EXISTS', "can't create already existing instance")
}

/** An event whose result is too large would have no effect. The last of the actions is the one that is to be made. */
function refuseTooLarge(stored: Uint8Array | undefined, actions: readonly Action[]): void {
  const most = actions.reduce((sum, { patch }) => sum + (patch?.length ?? 0), stored?.length ?? 0)
  if (most <= MAX_DOCUMENT_BYTES) return
  const result = documentBytes(actions.reduce(after, stored === undefined ? {} : parseStored(stored)))
  if (result.length > MAX_DOCUMENT_BYTES) {
    const text = `the document has ${result.length} bytes then, at most ${MAX_DOCUMENT_BYTES} are allowed`
    throw new ThreadsError('TOO_LARGE', text)
  }
}

function after(before: Document, { document }: Action): Document {
  return document === undefined ? {} : mergeDocument(before, document)
}

async function visible(id: string, context: ActionContext): Promise<Document> {
  const served = await context.served(id)
  if (served === undefined) {
    throw new ThreadsError('INVALID_INSTANCE', 'Invalid JSON Document', {
      hint: 'The read filter of the collection hides this instance from you.',
    })
  }
  return parseStored(served)
}

function action(type: Action['type'], parts: { id: string; collection: string; patch: Document | undefined }): Action {
  const { id, collection, patch: document } = parts
  const patch = document === undefined ? undefined : documentBytes(document)
  return { id, type, collection, instanceId: id, patch, document }
}

function modified(document: Document, context: ActionContext): Document {
  return withMember(document, '_mod', context.modified())
}

/** `_mod` comes with every document that is read: one that fits without it fits. */
function refuseMisfit(document: Document, schema: CollectionSchema): void {
  try {
    schema.validate(document)
  } catch (error) {
    if (!hasCode(error, 'INVALID_INSTANCE') || member(document, '_mod') === undefined) throw error
    if (!fits(mergeDocument(document, { _mod: null }), schema)) throw error
  }
}

function fits(document: Document, schema: CollectionSchema): boolean {
  try {
    schema.validate(document)
    return true
  } catch (error) {
    if (hasCode(error, 'INVALID_INSTANCE')) return false
    throw error
  }
}

function idOf(document: Document): string {
  const id = instanceId(document)
  if (id === '') throw new ThreadsError('INVALID_INSTANCE', 'invalid instance: missing _id attribute')
  return id
}
