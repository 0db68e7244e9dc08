/** What all figures are about: a document of 305 bytes, as a person might be stored. */
export const SCHEMA: string = JSON.stringify({
  properties: { _id: { type: 'string' }, name: { type: 'string' }, age: { type: 'number' } },
})

export const COLLECTION = 'Person'

export const DOCUMENT_BYTES = 305

/** Path of the indexed member. It has 100 different values, evenly spread. */
export const INDEX_PATH = 'age'
export const AGES = 100

export function idOf(index: number): string {
  return `person-${String(index).padStart(8, '0')}`
}

export function person(index: number, note = 'x'): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      _id: idOf(index),
      name: `Person Number ${String(index).padStart(7, '0')}`,
      age: index % AGES,
      email: `person.${String(index).padStart(7, '0')}@example.com`,
      address: {
        street: `${100 + (index % 300)} Long Street`,
        city: 'Springfield',
        zip: String(10_000 + (index % 90_000)),
      },
      tags: ['alpha', 'beta', 'gamma'],
      bio: note.repeat(52).slice(0, 52),
    }),
  )
}
