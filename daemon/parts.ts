import type { Logger } from '../src/core/logger.ts'

/** A host that serves. */
export interface Daemon {
  readonly peerId: string
  /** Stops the parts, last first. Idempotent. */
  stop(): Promise<void>
}

interface Part {
  readonly name: string
  stop(): Promise<void>
}

/** The running parts in the order of their start. */
export class Parts {
  readonly #logger: Logger
  readonly #running: Part[] = []

  constructor(logger: Logger) {
    this.#logger = logger.child('daemon')
  }

  add(name: string, stop: () => Promise<void>): void {
    this.#running.push({ name, stop })
    this.#logger.debug({ part: name }, 'started')
  }

  /** Stops the last part first. One that fails is logged and does not keep the others running. */
  async stop(): Promise<void> {
    for (let part = this.#running.pop(); part !== undefined; part = this.#running.pop()) {
      try {
        await part.stop()
        this.#logger.debug({ part: part.name }, 'stopped')
      } catch (error) {
        this.#logger.error({ part: part.name, error }, 'could not stop')
      }
    }
  }
}
