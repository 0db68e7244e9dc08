import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { QuickJSSyncVariant } from 'quickjs-emscripten-core'
import type { EngineBuild } from './engine.ts'
import { meterModule } from './metering.ts'

const PACKAGE = '@jitl/quickjs-wasmfile-release-sync'

/** The engine of its package, for Node. It is read and metered unless another thread has done so. */
export async function loadEngineBuild(known?: WebAssembly.Module): Promise<EngineBuild> {
  // Not by import: the package's types describe only its CommonJS form.
  const require = createRequire(import.meta.url)
  const { default: variant }: { default: QuickJSSyncVariant } = require(PACKAGE)
  const wasm = known ?? (await WebAssembly.compile(meterModule(await readFile(require.resolve(`${PACKAGE}/wasm`)))))
  return { variant, wasm }
}
