import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSSyncVariant,
  type QuickJSWASMModule,
} from 'quickjs-emscripten-core'
import { Limiter } from './limiter.ts'

const PACKAGE = '@jitl/quickjs-wasmfile-release-sync'
const WASM_PAGE_BYTES = 65_536

/** What the host itself may need beyond the limit: texts it hands over, and their copies. */
const HOST_BYTES = 64 * 1024 * 1024

// Not by import: the package's types describe only its CommonJS form.
const require = createRequire(import.meta.url)
const { default: quickjsVariant }: { default: QuickJSSyncVariant } = require(PACKAGE)

/** An instance of QuickJS with memory of its own. Dropping it frees all. */
export interface Engine {
  readonly quickjs: QuickJSWASMModule
  readonly limiter: Limiter
}

let compiled: Promise<WebAssembly.Module> | undefined

async function compileEngine(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(require.resolve(`${PACKAGE}/wasm`)))
}

/**
 * The limit is that of the WebAssembly memory, because the engine's own does not work in this build. All of it is there
 * from the start; the system backs it when it is touched.
 */
export async function startEngine(memoryBytes: number): Promise<Engine> {
  compiled ??= compileEngine()
  const wasm = await compiled
  const limiter = new Limiter()
  const wasmMemory = new WebAssembly.Memory({
    initial: memoryBytes / WASM_PAGE_BYTES,
    maximum: (memoryBytes + HOST_BYTES) / WASM_PAGE_BYTES,
  })
  limiter.guardMemory(wasmMemory)
  const variant = newVariant(quickjsVariant, {
    wasmMemory,
    emscriptenModule: {
      async instantiateWasm(imports, onSuccess) {
        const instance = await WebAssembly.instantiate(wasm, limiter.guardImports(imports))
        onSuccess(instance)
        return instance.exports
      },
    },
  })
  return { quickjs: await newQuickJSWASMModuleFromVariant(variant), limiter }
}
