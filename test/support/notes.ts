import { randomBytes } from 'node:crypto'
import { textOfUtf8, utf8 } from '../../src/core/bytes.ts'
import { newThreadId } from '../../src/core/thread-id.ts'
import type { Collection, CollectionConfig, Database, DocumentBytes, Query } from '../../src/db/index.ts'
import type { TestHost } from './host.ts'

export interface Note {
  readonly _id?: string
  readonly [member: string]: unknown
}

export const NOTE: CollectionConfig = {
  name: 'Note',
  schema: JSON.stringify({ properties: { _id: { type: 'string' }, name: { type: 'string' } } }),
}

export const bytesOf = (note: unknown): DocumentBytes => utf8(JSON.stringify(note))
export const noteOf = (bytes: DocumentBytes): Note => JSON.parse(textOfUtf8(bytes)) as Note

/** A database with the collection Note and these documents in it. */
export async function newNotes(
  { databases }: TestHost,
  documents: readonly Note[] = [],
  config: Partial<CollectionConfig> = {},
): Promise<{ database: Database; notes: Collection }> {
  const collections = [{ ...NOTE, ...config }]
  const database = await databases.create(newThreadId('raw', randomBytes), { collections })
  const notes = database.collection('Note')
  if (documents.length > 0) await notes.create(documents.map(bytesOf))
  return { database, notes }
}

/** Joins a database of another host and waits for what is there. */
export async function joinNotes(
  { databases }: TestHost,
  from: Database,
  config: Partial<CollectionConfig> = {},
): Promise<{ database: Database; notes: Collection }> {
  const { addresses, key } = await from.info()
  const [address] = addresses
  if (address === undefined) throw new Error('the host has no address')
  const database = await databases.join(address, { key, collections: [{ ...NOTE, ...config }], block: true })
  return { database, notes: database.collection('Note') }
}

/** The documents a query answers, without `_mod`. */
export async function found(notes: Pick<Collection, 'find'>, query: Query = {}): Promise<Note[]> {
  return (await notes.find(query)).map((bytes) => {
    const { _mod, ...note } = noteOf(bytes)
    return note
  })
}

export async function idsOf(notes: Pick<Collection, 'find'>, query: Query = {}): Promise<unknown[]> {
  return (await found(notes, query)).map((note) => note._id)
}
