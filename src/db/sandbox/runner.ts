import { type Engine, startEngine } from './engine.ts'
import { LIMITS, type Limits, SHARED_MEMORY_BYTES } from './limits.ts'
import { type Answer, parseAnswer, type SandboxCall, type SandboxFunction, type Work } from './messages.ts'
import { LimitReached } from './limiter.ts'
import { CompileError, Realm } from './realm.ts'

/** The one used longest ago goes first. */
const MAX_REALMS = 24

/**
 * Runs calls in realms that are used again, which is fast. A call that reaches a limit there is run once more in an engine
 * of its own, and that run counts: a used engine has other memory left and its count of ticks may be one off, but in a new
 * one the same call does the same on every host.
 */
export class Runner {
  #shared: Engine | undefined
  readonly #realms = new Map<string, Realm>()

  /** Calls `moved` after each call. An error means that the engine broke; nothing more should run in this thread. */
  async run({ functions, calls, budget }: Work, moved: () => void): Promise<Answer[]> {
    const answers: Answer[] = []
    for (const call of calls) {
      const fn = functions[call.fn]
      if (fn === undefined) throw new RangeError('a call names a function that is not there')
      this.#shared ??= await startEngine(SHARED_MEMORY_BYTES)
      const answer = this.#runShared(this.#shared, fn, call, LIMITS[budget])
      const reachedLimit = answer.word === 'out-of-steps' || answer.word === 'out-of-memory'
      answers.push(reachedLimit ? await runAlone(fn, call, LIMITS[budget]) : answer)
      moved()
    }
    return answers
  }

  #runShared(engine: Engine, fn: SandboxFunction, call: SandboxCall, limits: Limits): Answer {
    const key = `${fn.form} ${fn.source}`
    let realm = this.#realms.get(key)
    // One tick less, because the count of a used realm begins somewhere within a tick.
    const answer = perform(call, limits.ticks - 1, () => {
      realm ??= new Realm(engine, fn)
      return realm
    })
    this.#realms.delete(key)
    if (engine.limiter.worn) {
      this.#realms.clear()
      this.#shared = undefined
    } else if (realm?.spent) {
      realm.dispose()
    } else if (realm !== undefined) {
      this.#keep(key, realm)
    }
    return answer
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

async function runAlone(fn: SandboxFunction, call: SandboxCall, limits: Limits): Promise<Answer> {
  const engine = await startEngine(limits.memoryBytes)
  return perform(call, limits.ticks, () => new Realm(engine, fn))
}

function perform(call: SandboxCall, ticks: number, open: () => Realm): Answer {
  try {
    const realm = open()
    return call.first === undefined ? { word: 'compiled', text: '' } : parseAnswer(realm.call(call, ticks))
  } catch (error) {
    if (error instanceof LimitReached) return { word: `out-of-${error.limit}`, text: '' }
    if (error instanceof CompileError) return { word: 'uncompilable', text: error.message }
    throw error
  }
}
