import type { Commit } from './commit.ts'

/** What a commit costs in memory besides its documents. */
const COMMIT_OVERHEAD_BYTES = 256

export interface CommitTailOptions {
  readonly maxBytes: number
}

/** The newest commits, with their documents, as far as they fit. */
export class CommitTail {
  readonly #maxBytes: number
  #commits: (Commit | undefined)[] = []
  /** Index of the oldest commit still held; what is before it is cleared in bulk. */
  #start = 0
  #bytes = 0

  constructor({ maxBytes }: CommitTailOptions) {
    this.#maxBytes = maxBytes
  }

  /** Adds the commit that follows the newest one. */
  push(commit: Commit): void {
    this.#commits.push(commit)
    this.#bytes += commitBytes(commit)
    while (this.#bytes > this.#maxBytes && this.#start < this.#commits.length) this.#dropOldest()
  }

  /** The commit of that number, if it is held. */
  get(seq: number): Commit | undefined {
    const oldest = this.#commits[this.#start]
    if (oldest === undefined || seq < oldest.seq) return undefined
    return this.#commits[this.#start + seq - oldest.seq]
  }

  clear(): void {
    this.#commits = []
    this.#start = 0
    this.#bytes = 0
  }

  #dropOldest(): void {
    const oldest = this.#commits[this.#start]
    if (oldest !== undefined) this.#bytes -= commitBytes(oldest)
    this.#commits[this.#start++] = undefined
    if (this.#start * 2 > this.#commits.length) {
      this.#commits = this.#commits.slice(this.#start)
      this.#start = 0
    }
  }
}

function commitBytes(commit: Commit): number {
  let bytes = COMMIT_OVERHEAD_BYTES
  for (const { id, before, after } of commit.changes) {
    bytes += id.length + (before?.length ?? 0) + (after?.length ?? 0) + COMMIT_OVERHEAD_BYTES
  }
  return bytes
}
