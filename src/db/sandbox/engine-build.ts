import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { QuickJSSyncVariant } from 'quickjs-emscripten-core'
import type { EngineBuild } from './engine.ts'
import { meterModule } from './metering.ts'

const PACKAGE = '@jitl/quickjs-wasmfile-release-sync'

/** Reads the engine from its package, for Node. */
export async function loadEngineBuild(): Promise<EngineBuild> {
  // Not by import: the package's types describe only its CommonJS form.
  const require = createRequire(import.meta.url)
  const { default: variant }: { default: QuickJSSyncVariant } = require(PACKAGE)
  const wasm = await WebAssembly.compile(meterModule(await readFile(require.resolve(`${PACKAGE}/wasm`))))
  return { variant, wasm }
}
