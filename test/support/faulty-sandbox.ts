import { systemClock } from '../../src/core/clock.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/logger.ts'
import type { JudgeRequest } from '../../src/db/fold/judge.ts'
import { createSandbox, type Sandbox } from '../../src/db/sandbox/index.ts'

export interface SandboxStall {
  /** Resolves when a call has arrived. */
  readonly reached: Promise<void>
  /** Lets it go on. */
  release(): void
}

/** A sandbox that is down or waits on demand. */
export class FaultySandbox implements Sandbox {
  readonly #inner = createSandbox({ logger: silentLogger, clock: systemClock, threads: 1 })
  readonly checkFunction: Sandbox['checkFunction'] = (source, form) => this.#inner.checkFunction(source, form)
  /** Calls to `judge` that met an engine that was down. */
  failures = 0
  #isDown: (request: JudgeRequest) => boolean = () => false
  #gate: Promise<void> | undefined
  #reached: () => void = () => {}

  /** No verdict is reached for these requests from now on. */
  failOn(isDown: (request: JudgeRequest) => boolean): void {
    this.#isDown = isDown
  }

  /** The next call of a validator or filter waits. */
  stall(): SandboxStall {
    const reached = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    this.#gate = released.promise
    this.#reached = reached.resolve
    return { reached: reached.promise, release: released.resolve }
  }

  readonly judge: Sandbox['judge'] = async (requests, options) => {
    if (requests.length > 0) await this.#pass()
    if (requests.some((request) => this.#isDown(request))) {
      this.failures++
      throw new ThreadsError('SANDBOX_DOWN', 'the sandbox gave no answer')
    }
    return this.#inner.judge(requests, options)
  }

  readonly filter: Sandbox['filter'] = async (source, reader, documents) => {
    await this.#pass()
    return this.#inner.filter(source, reader, documents)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #pass(): Promise<void> {
    const gate = this.#gate
    this.#gate = undefined
    this.#reached()
    await gate
  }
}
