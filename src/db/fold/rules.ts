import { documentBytes, member, mergeDocument, parseStored, withMember, type Document } from '../json.ts'
import { MAX_DOCUMENT_BYTES } from './constants.ts'
import type { FoldEvent } from './well-formed.ts'

/** A document as bytes and as a value; the bytes are parsed when the value is first asked for. */
export class StoredDocument {
  readonly bytes: Uint8Array
  #value: Document | undefined

  constructor(bytes: Uint8Array, value?: Document) {
    this.bytes = bytes
    this.#value = value
  }

  get value(): Document {
    this.#value ??= parseStored(this.bytes)
    return this.#value
  }
}

/**
 * The document of an instance after an event; `undefined` stands for no document. The result's `_id` is the event's.
 * An event whose result would be larger than MAX_DOCUMENT_BYTES has no effect.
 */
export function applyEvent(before: StoredDocument | undefined, event: FoldEvent): StoredDocument | undefined {
  if (event.type === 'delete') return undefined
  const after = written(before, event)
  return after !== undefined && after.bytes.length > MAX_DOCUMENT_BYTES ? before : after
}

function written(before: StoredDocument | undefined, event: FoldEvent): StoredDocument | undefined {
  const { document, patch, id } = event
  if (document === undefined || patch === undefined) return before
  const hasId = member(document, '_id') !== undefined
  if (before === undefined) {
    if (event.type === 'save') return hasId ? storedAs(mergeDocument({}, document)) : undefined
    // The bytes as they were sent: a host that only receives documents need not write them again.
    return hasId ? new StoredDocument(patch, document) : storedAs(withMember(document, '_id', id))
  }
  return storedAs(mergeDocument(before.value, document))
}

function storedAs(document: Document): StoredDocument {
  return new StoredDocument(documentBytes(document), document)
}
