import { bytesKey } from '../core/bytes.ts'
import type { Entry, KeyRange, ReadView } from './ordered-store.ts'

/** Reads each row once. For the time in which the rows of a view do not change. */
export class RememberingView implements ReadView {
  readonly #view: ReadView
  readonly #rows = new Map<string, Uint8Array | undefined>()

  constructor(view: ReadView) {
    this.#view = view
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const name = bytesKey(key)
    if (!this.#rows.has(name)) this.#rows.set(name, await this.#view.get(key))
    return this.#rows.get(name)
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const names = keys.map(bytesKey)
    const unknown = keys.filter((_, index) => !this.#rows.has(names[index] ?? ''))
    if (unknown.length > 0) {
      const rows = await this.#view.getMany(unknown)
      for (const [index, key] of unknown.entries()) this.#rows.set(bytesKey(key), rows[index])
    }
    return names.map((name) => this.#rows.get(name))
  }

  entries(range: KeyRange): AsyncIterable<Entry> {
    return this.#view.entries(range)
  }
}
