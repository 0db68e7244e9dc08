import { type Engine, type EngineBuild, startEngine } from './engine.ts'
import { type Allowance, LimitReached } from './limiter.ts'
import { allowed, LIGHT_PART, type Limit, LIMITS, type Limits, SHARED_MEMORY_BYTES, SHARED_PART } from './limits.ts'
import { type Answer, parseAnswer, type SandboxCall, type SandboxFunction, type Work } from './messages.ts'
import { CompileError, Realm } from './realm.ts'

/** Of the answers to one work, in UTF-16 units: a filter can make much of little. */
const MAX_ANSWERS_CHARS = 16 * 1024 * 1024

/** The one used longest ago goes first. */
const MAX_REALMS = 24

/**
 * Runs calls in realms that are used again, which is fast. A call that reaches a limit there is run once more in an engine
 * of its own, and that run counts: a used engine has other memory left and its count of ticks may be one off, but in a new
 * one the same call does the same on every host.
 */
export class Runner {
  readonly #build: EngineBuild
  #shared: Engine | undefined
  readonly #realms = new Map<string, Realm>()

  constructor(build: EngineBuild) {
    this.#build = build
  }

  /**
   * Answers the first calls, at least one, as many as one message may hold answers to. Calls `moved` after each. An error
   * means that the engine broke; nothing more should run in this thread.
   */
  async run({ functions, calls, budget }: Work, moved: () => void): Promise<Answer[]> {
    const answers: Answer[] = []
    let chars = 0
    for (const call of calls) {
      if (chars >= MAX_ANSWERS_CHARS) break
      const fn = functions[call.fn]
      if (fn === undefined) throw new RangeError('a call names a function that is not there')
      this.#shared ??= await startEngine(this.#build, SHARED_MEMORY_BYTES)
      const limits = LIMITS[budget]
      const answer = this.#runShared(this.#shared, fn, call, limits) ?? (await this.#runAlone(fn, call, limits))
      answers.push(answer)
      chars += answer.text.length
      moved()
    }
    return answers
  }

  /** Nothing if the call needs an engine of its own. */
  #runShared(engine: Engine, fn: SandboxFunction, call: SandboxCall, limits: Limits): Answer | undefined {
    const key = `${fn.form} ${fn.source}`
    let realm = this.#realms.get(key)
    // One tick less, because the count of a used realm begins somewhere within a tick.
    const allowance = { ticks: limits.ticks - 1, work: limits.work * SHARED_PART }
    const answer = perform(call, allowance, () => {
      realm ??= new Realm(engine, fn, allowance)
      return realm
    })
    this.#realms.delete(key)
    if (engine.limiter.worn) {
      this.#realms.clear()
      this.#shared = undefined
    } else if (realm?.spent || engine.limiter.lastWork > limits.work * LIGHT_PART) {
      realm?.dispose()
    } else if (realm !== undefined) {
      this.#keep(key, realm)
    }
    return typeof answer === 'string' ? undefined : answer
  }

  async #runAlone(fn: SandboxFunction, call: SandboxCall, limits: Limits): Promise<Answer> {
    const engine = await startEngine(this.#build, limits.memoryBytes)
    const answer = perform(call, limits, () => new Realm(engine, fn, limits))
    return typeof answer === 'string' ? { word: `out-of-${answer}`, text: allowed(answer, limits) } : answer
  }

  #keep(key: string, realm: Realm): void {
    this.#realms.set(key, realm)
    if (this.#realms.size <= MAX_REALMS) return
    for (const [oldest, old] of this.#realms) {
      this.#realms.delete(oldest)
      old.dispose()
      return
    }
  }
}

/** The answer, or the limit that was reached. */
function perform(call: SandboxCall, allowance: Allowance, open: () => Realm): Answer | Limit {
  try {
    const realm = open()
    return call.first === undefined ? { word: 'compiled', text: '' } : parseAnswer(realm.call(call, allowance))
  } catch (error) {
    if (error instanceof LimitReached) return error.limit
    if (error instanceof CompileError) return { word: 'uncompilable', text: error.message }
    throw error
  }
}
