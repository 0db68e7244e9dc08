import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

/** The script of page.ts, for browsers. */
export async function bundleEngine(): Promise<string> {
  const bundle = await rolldown({
    input: join(import.meta.dirname, 'page.ts'),
    platform: 'browser',
    logLevel: 'silent',
  })
  const { output } = await bundle.generate({ format: 'iife', name: 'engine', codeSplitting: false })
  await bundle.close()
  return output[0].code
}

/** The engine's WebAssembly as it is in its package, as base64. */
export async function engineWasm(): Promise<string> {
  const require = createRequire(import.meta.url)
  return (await readFile(require.resolve('@jitl/quickjs-wasmfile-release-sync/wasm'))).toString('base64')
}
