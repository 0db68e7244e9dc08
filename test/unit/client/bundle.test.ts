/** What pages get of the client. */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { describe, expect, it } from 'vitest'
import { importsOf, isGenerated, ROOT } from '../../support/sources.ts'

const PAGE = join(ROOT, 'test/support/browser/whole-client.ts')
const MAX_GZIPPED_BYTES = 60_000

describe('the client', () => {
  it(`has less than ${MAX_GZIPPED_BYTES} bytes in the bundle of a page that uses all of it`, async () => {
    const built = await build({
      configFile: false,
      logLevel: 'silent',
      root: join(PAGE, '..'),
      build: { write: false, modulePreload: false, rolldownOptions: { input: PAGE } },
    })
    if (Array.isArray(built) || !('output' in built)) throw new Error('one bundle was to be built')
    const [script, ...others] = built.output
    expect(others).toEqual([])
    expect(script.code).not.toMatch(/\bnode:|\brequire\(/)
    const bytes = gzipSync(script.code).length
    console.log(`the client has ${bytes} bytes, gzipped`)
    expect(bytes).toBeLessThan(MAX_GZIPPED_BYTES)
    // Less than that is not the client.
    expect(bytes).toBeGreaterThan(10_000)
  })

  it('imports nothing that only Node has', () => {
    const seen = new Set<string>()
    const outside = new Set<string>()
    const visit = (file: string): void => {
      if (seen.has(file)) return
      seen.add(file)
      for (const { target, typeOnly } of importsOf(file)) {
        if (typeOnly) continue
        if (target.startsWith('src/')) visit(target)
        else if (!isGenerated(file)) outside.add(target)
      }
    }
    visit('src/client/index.ts')
    expect(seen.size).toBeGreaterThan(20)
    expect([...outside].toSorted()).toEqual([
      '@noble/ed25519',
      '@noble/hashes/sha2.js',
      'multiformats/bases/base32',
      'multiformats/bases/base36',
      'multiformats/bases/base58',
    ])
  })
})
