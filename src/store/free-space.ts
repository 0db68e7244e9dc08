import { statfs } from 'node:fs/promises'
import type { Clock } from '../core/clock.ts'

/** How long a look at the disk is good for. */
const MAX_AGE_MS = 1000

export interface FreeSpaceOptions {
  /** Directory whose file system is watched. */
  location: string
  minFreeBytes: number
  clock: Clock
}

/** Tells whether the disk is nearly full, from a look at most a second old when writes are frequent. */
export interface FreeSpace {
  /** Answers from the last look, and starts the next one when that is old. */
  isLow(): boolean
}

/** Where there is no disk. */
export const unlimitedSpace: FreeSpace = { isLow: () => false }

export class DiskSpace implements FreeSpace {
  readonly #options: FreeSpaceOptions
  #low = false
  #looking = false
  #lookedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: FreeSpaceOptions) {
    this.#options = options
  }

  isLow(): boolean {
    const age = this.#options.clock.nowMs() - this.#lookedAtMs
    if (!this.#looking && (age >= MAX_AGE_MS || age < 0)) void this.look()
    return this.#low
  }

  /** Looks now. A file system that cannot say counts as having room: the write itself will tell. */
  async look(): Promise<void> {
    const { location, minFreeBytes, clock } = this.#options
    this.#looking = true
    try {
      const { bavail, bsize } = await statfs(location)
      this.#low = bavail * bsize < minFreeBytes
    } catch {
      this.#low = false
    }
    this.#lookedAtMs = clock.nowMs()
    this.#looking = false
  }
}
