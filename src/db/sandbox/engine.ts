import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSSyncVariant,
  type QuickJSWASMModule,
} from 'quickjs-emscripten-core'

const PACKAGE = '@jitl/quickjs-wasmfile-release-sync'
const WASM_PAGE_BYTES = 65_536

// Not by import: the package's types describe only its CommonJS form.
const require = createRequire(import.meta.url)
const { default: quickjsVariant }: { default: QuickJSSyncVariant } = require(PACKAGE)

/** What the host itself needs beyond the limit: texts it hands over, and their copies. */
const HOST_BYTES = 64 * 1024 * 1024

/** An instance of QuickJS with memory of its own. Dropping it frees all. */
export interface Engine {
  readonly quickjs: QuickJSWASMModule
  /** Whether an allocation failed. What ran meanwhile may have seen that, and is not to be believed. */
  readonly exhausted: boolean
  /** Whether the host had to go beyond the limit. There is not much room left then. */
  readonly grown: boolean
  /** Runs code that the limit holds for. */
  limit<T>(run: () => T): T
}

let compiled: Promise<WebAssembly.Module> | undefined

async function compileEngine(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(require.resolve(`${PACKAGE}/wasm`)))
}

/**
 * The limit is that of the WebAssembly memory, because the engine's own does not work in this build. All of it is there
 * from the start (the system backs it when it is touched), so a wish to grow means that the allocator found no room.
 * Functions do not get more. The host does: where it copies texts into the engine, no allocation may fail.
 */
export async function startEngine(memoryBytes: number): Promise<Engine> {
  compiled ??= compileEngine()
  const wasmMemory = new WebAssembly.Memory({
    initial: memoryBytes / WASM_PAGE_BYTES,
    maximum: (memoryBytes + HOST_BYTES) / WASM_PAGE_BYTES,
  })
  const grow = wasmMemory.grow.bind(wasmMemory)
  let limited = false
  let exhausted = false
  let grown = false
  wasmMemory.grow = (pages) => {
    if (limited) {
      exhausted = true
      throw new RangeError('the engine has no memory left')
    }
    grown = true
    return grow(pages)
  }
  const variant = newVariant(quickjsVariant, { wasmModule: await compiled, wasmMemory })
  const quickjs = await newQuickJSWASMModuleFromVariant(variant)
  return {
    quickjs,
    get exhausted() {
      return exhausted
    },
    get grown() {
      return grown
    },
    limit(run) {
      limited = true
      try {
        return run()
      } finally {
        limited = false
      }
    },
  }
}
