import { DOCUMENT_BYTES } from './document.ts'
import type { Limits } from './limits/limits.ts'
import type { Work } from './measure.ts'

/** The limits that bind the works of a target. */
export interface Bounds {
  readonly create: Work
  readonly createMany: Work
  readonly batch: Work
  readonly transaction: Work
  readonly get: Work
  readonly getMany: Work
  /** Of a find by index that answers so many documents. */
  readonly found: (documents: number) => Work
  /** Of a find that reads all documents and answers few. */
  readonly search: Work
  /** Of a find that answers so many documents, all there are. */
  readonly all: (documents: number) => Work
  readonly receive: Work
}

export function embeddedBounds(limits: Limits): Bounds {
  const { create, author, batch, get, lookup, scan, receive } = limits
  return {
    create,
    createMany: author,
    batch,
    transaction: batch,
    get,
    getMany: get,
    found: lookup,
    search: scan,
    all: () => scan,
    receive,
  }
}

/** Of a daemon: its calls, and what it does in them where that takes longer. */
export function daemonBounds(limits: Limits): Bounds {
  const { callAndCreate, call, callMany, batch, roundTrip, scan, receive } = limits
  const reply = (documents: number): Work => limits.reply(documents * DOCUMENT_BYTES)
  return {
    create: callAndCreate,
    createMany: callMany,
    batch,
    transaction: roundTrip,
    get: call,
    getMany: callMany,
    found: reply,
    search: scan,
    all: reply,
    receive,
  }
}
