import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const MODULE = join(import.meta.dirname, '../../../daemon/compile-cache.ts')
const PROGRAM = `
import { getCompileCacheDir } from 'node:module'
import { keepCompiledCode } from ${JSON.stringify(MODULE)}
keepCompiledCode(process.env)
console.log(getCompileCacheDir() ?? 'none')
`

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'threadsd-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

describe('compiled code', () => {
  it("is kept in the user's cache directory, which is made where there is none", () => {
    expect(placeOf({ HOME: home })).toContain(join(home, '.cache/threadsd'))
    expect(placeOf({ HOME: home, XDG_CACHE_HOME: join(home, 'x') })).toContain(join(home, 'x/threadsd'))
  })

  it('is kept where the variables of Node say, or nowhere', () => {
    expect(placeOf({ HOME: home, NODE_COMPILE_CACHE: join(home, 'mine') })).toContain(join(home, 'mine'))
    expect(placeOf({ HOME: home, NODE_DISABLE_COMPILE_CACHE: '1' })).toBe('none')
    expect(existsSync(join(home, '.cache'))).toBe(false)
  })

  it('is not kept where others could replace it', () => {
    mkdirSync(join(home, '.cache/threadsd'), { recursive: true })
    for (const path of ['.cache/threadsd', '.cache']) {
      chmodSync(join(home, path), 0o777)
      expect(placeOf({ HOME: home })).toBe('none')
      chmodSync(join(home, path), 0o700)
    }
    expect(placeOf({ HOME: home })).not.toBe('none')
  })

  it('is not kept behind a link to what others can write to', () => {
    const open = join(home, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    mkdirSync(join(home, '.cache'))
    symlinkSync(open, join(home, '.cache/threadsd'))
    expect(placeOf({ HOME: home })).toBe('none')
  })

  it('is not kept, without an error, where nothing can be written', () => {
    writeFileSync(join(home, '.cache'), '')
    expect(placeOf({ HOME: home })).toBe('none')
    expect(placeOf({ HOME: join(home, 'none') })).toBe('none')
  })
})

function placeOf(env: Record<string, string>): string {
  const args = ['--input-type=module', '--eval', PROGRAM]
  return execFileSync(process.execPath, args, { env, encoding: 'utf8', timeout: 10_000 }).trim()
}
