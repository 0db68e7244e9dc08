import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSSyncVariant,
  type QuickJSWASMModule,
} from 'quickjs-emscripten-core'
import { Limiter } from './limiter.ts'
import { STACK_LEFT, WORK_LEFT } from './metering.ts'
import { withoutSurroundings } from './surroundings.ts'

const WASM_PAGE_BYTES = 65_536

/** What the host itself may need beyond the limit: texts it hands over, and their copies. */
const HOST_BYTES = 64 * 1024 * 1024

/** What an engine is made from. The same everywhere, however it is loaded. */
export interface EngineBuild {
  readonly variant: QuickJSSyncVariant
  /** Metered, see `meterModule`. */
  readonly wasm: WebAssembly.Module
}

/** An instance of QuickJS with memory of its own. Dropping it frees all. */
export interface Engine {
  readonly quickjs: QuickJSWASMModule
  readonly limiter: Limiter
}

/**
 * The limit is that of the WebAssembly memory, because the engine's own does not work in this build. All of it is there
 * from the start; the system backs it when it is touched.
 */
export async function startEngine(build: EngineBuild, memoryBytes: number): Promise<Engine> {
  const memory = new WebAssembly.Memory({
    initial: memoryBytes / WASM_PAGE_BYTES,
    maximum: (memoryBytes + HOST_BYTES) / WASM_PAGE_BYTES,
  })
  const instantiated = Promise.withResolvers<WebAssembly.Instance>()
  const variant = newVariant(build.variant, {
    wasmMemory: memory,
    emscriptenModule: {
      async instantiateWasm(imports, onSuccess) {
        const instance = await WebAssembly.instantiate(build.wasm, withoutSurroundings(imports, memory))
        instantiated.resolve(instance)
        onSuccess(instance)
        return instance.exports
      },
    },
  })
  const quickjs = await newQuickJSWASMModuleFromVariant(variant)
  const { [WORK_LEFT]: workLeft, [STACK_LEFT]: stackLeft } = (await instantiated.promise).exports
  if (!(workLeft instanceof WebAssembly.Global) || !(stackLeft instanceof WebAssembly.Global)) {
    throw new TypeError('the engine is not metered')
  }
  const limiter = new Limiter({ workLeft, stackLeft })
  limiter.guardMemory(memory)
  return { quickjs, limiter }
}
