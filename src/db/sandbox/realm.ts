import { type QuickJSContext, type QuickJSHandle, type QuickJSRuntime, Scope } from 'quickjs-emscripten-core'
import type { Engine } from './engine.ts'
import type { Allowance } from './limiter.ts'
import { MAX_SOURCE_CHARS, STACK_BYTES } from './limits.ts'
import type { FunctionForm, SandboxCall, SandboxFunction } from './messages.ts'
import { PRELUDE } from './prelude.ts'

/** The source is no function body. The message is the engine's. */
export class CompileError extends Error {}

const HEADS: Record<FunctionForm, string> = {
  'write-validator': '_validate(writer, event, instance)',
  'read-filter': '_filter(reader, instance)',
}

/** One function of a collection, compiled in a global scope of its own. */
export class Realm {
  readonly #engine: Engine
  readonly #runtime: QuickJSRuntime
  readonly #context: QuickJSContext
  readonly #call: QuickJSHandle
  #spent = false

  /** Throws CompileError and LimitReached. */
  constructor(engine: Engine, fn: SandboxFunction, allowance: Allowance) {
    if (fn.source.length > MAX_SOURCE_CHARS) throw new CompileError(`longer than ${MAX_SOURCE_CHARS} characters`)
    this.#engine = engine
    this.#runtime = engine.quickjs.newRuntime({
      maxStackSizeBytes: STACK_BYTES,
      interruptHandler: () => engine.limiter.tick(),
    })
    this.#context = this.#runtime.newContext()
    try {
      this.#call = engine.limiter.run(allowance, () => this.#compile(fn))
    } catch (error) {
      if (!engine.limiter.worn) this.#free()
      throw error
    }
  }

  /** Whether a call left something behind that a later one could find. The realm must then not be called again. */
  get spent(): boolean {
    return this.#spent
  }

  /** What the realm says, see `ANSWERS`. Throws LimitReached; any other error means that the engine is broken. */
  call({ timeMs, who, first, second }: SandboxCall, allowance: Allowance): string {
    const context = this.#context
    const handles = [context.newNumber(timeMs), this.#text(who), this.#text(first), this.#text(second)]
    this.#spent = true
    const said = this.#engine.limiter.run(allowance, () => {
      const result = context.callFunction(this.#call, context.undefined, ...handles)
      for (const handle of handles) handle.dispose()
      if (result.error === undefined) return result.value.consume((value) => context.getString(value))
      result.error.dispose()
      throw new Error('a realm failed outside of its function')
    })
    const leftBehind = said.startsWith('!')
    // Jobs of promises never run, but they would pile up.
    this.#spent = leftBehind || this.#runtime.hasPendingJob()
    return leftBehind ? said.slice(1) : said
  }

  dispose(): void {
    this.#call.dispose()
    this.#free()
  }

  #free(): void {
    this.#context.dispose()
    this.#runtime.dispose()
  }

  #text(text: string | undefined): QuickJSHandle {
    return text === undefined ? this.#context.undefined : this.#context.newString(text)
  }

  #compile({ form, source }: SandboxFunction): QuickJSHandle {
    const head = HEADS[form]
    // A body that a function and a method both take cannot close its brace and go on with code of its own: behind that
    // brace the one wants a statement and the other a comma. Strict, because functions always were checked so.
    this.#evaluate(`'use strict'; function ${head} {${source}\n}`, '<function>', true).dispose()
    this.#evaluate(`'use strict'; ({ ${head} {${source}\n} })`, '<function>', true).dispose()
    return Scope.withScope((scope) => {
      const prepare = scope.manage(this.#evaluate(PRELUDE, '<prelude>'))
      const fn = scope.manage(this.#evaluate(`(function ${head} {${source}\n})`, '<function>'))
      const name = scope.manage(this.#context.newString(form))
      return this.#context.unwrapResult(this.#context.callFunction(prepare, this.#context.undefined, fn, name))
    })
  }

  #evaluate(code: string, file: string, compileOnly = false): QuickJSHandle {
    const result = this.#context.evalCode(code, file, { compileOnly })
    if (result.error === undefined) return result.value
    const { name, message, stack }: { name: string; message: string; stack: string } = result.error.consume((error) =>
      this.#context.dump(error),
    )
    throw new CompileError(`${name}: ${message} ${stack.trim()}`)
  }
}
