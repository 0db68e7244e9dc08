import { beforeAll, describe, expect, test } from 'vitest'
import { type Engine, type EngineBuild, startEngine } from '../../../../src/db/sandbox/engine.ts'
import { loadEngineBuild } from '../../../../src/db/sandbox/engine-build.ts'
import { LimitReached } from '../../../../src/db/sandbox/limiter.ts'
import { LIMITS, SHARED_MEMORY_BYTES } from '../../../../src/db/sandbox/limits.ts'
import type { SandboxCall } from '../../../../src/db/sandbox/messages.ts'
import { CompileError, Realm } from '../../../../src/db/sandbox/realm.ts'

const CALL: SandboxCall = { fn: 0, timeMs: 0, who: undefined, first: '{}', second: undefined }
const ALLOWANCE = LIMITS.author

let build: EngineBuild
let engine: Engine
beforeAll(async () => {
  build = await loadEngineBuild()
  engine = await startEngine(build, SHARED_MEMORY_BYTES)
})

function realmOf(source: string, inside = engine): Realm {
  return new Realm(inside, { form: 'write-validator', source }, ALLOWANCE)
}

describe('a realm', () => {
  test.each([
    ['nothing', 'return true', false],
    ['a variable that can be taken away', 'leak = 1; return true', false],
    ['a promise that is settled', 'Promise.resolve(1); return true', false],
    ['a variable that cannot be taken away', 'Object.defineProperty(this, "leak", { value: 1 }); return true', true],
    ['a job of a promise', 'Promise.resolve(1).then(() => 1); return true', true],
  ])('left with %s', (_, source, spent) => {
    const realm = realmOf(source)
    expect(realm.call(CALL, ALLOWANCE)).toBe('accepted')
    expect(realm.spent).toBe(spent)
    realm.dispose()
  })

  test('that was used takes a call within its ticks only if a new one does so within one more', () => {
    const source = 'for (let i = 0; i < event.turns; i++); return true'
    const turnsOf = (turns: number): SandboxCall => ({ ...CALL, first: JSON.stringify({ turns }) })
    const takes = (realm: Realm, turns: number, ticks: number): boolean => {
      try {
        return realm.call(turnsOf(turns), { ...ALLOWANCE, ticks }) === 'accepted'
      } catch (error) {
        expect(error).toEqual(new LimitReached('steps'))
        return false
      }
    }
    let offByOne = 0
    for (let turns = 15_000; turns <= 25_000; turns += 1_000) {
      const inNew = takes(realmOf(source), turns, 3)
      for (let before = 0; before < 5_000; before += 1_000) {
        const used = realmOf(source)
        expect(takes(used, before, 3)).toBe(true)
        if (takes(used, turns, 2)) expect(inNew, `${turns} turns after ${before}`).toBe(true)
        const again = realmOf(source)
        expect(takes(again, before, 3)).toBe(true)
        if (takes(again, turns, 3) !== inNew) offByOne++
      }
    }
    expect(offByOne).toBeGreaterThan(0)
  })

  test('that was stopped is not used again', () => {
    const realm = realmOf('while (true) {}')
    expect(() => realm.call(CALL, ALLOWANCE)).toThrow(new LimitReached('steps'))
    expect(realm.spent).toBe(true)
    realm.dispose()
    expect(engine.limiter.worn).toBe(false)
  })

  test('is free again after its end, also one that did not compile', () => {
    for (let i = 0; i < 100; i++) {
      const realm = realmOf(
        `this.big = new Array(1e5).fill({ i: ${i} }); this.cycle = { big }; cycle.self = cycle; return true`,
      )
      realm.call(CALL, ALLOWANCE)
      realm.dispose()
      expect(() => realmOf('return (')).toThrow(CompileError)
    }
    expect(engine.limiter.worn).toBe(false)
  })
})

describe('an engine', () => {
  test('is worn when a call found no memory, whatever the call made of that', async () => {
    const small = await startEngine(build, 16 * 1024 * 1024)
    const realm = realmOf('try { new Uint8Array(3e7) } catch {} return true', small)
    expect(() => realm.call(CALL, ALLOWANCE)).toThrow(new LimitReached('memory'))
    expect(small.limiter.worn).toBe(true)
  })

  test('takes texts for which its limit has no room, and is worn then', async () => {
    const small = await startEngine(build, 16 * 1024 * 1024)
    const realm = realmOf('return String(event.text.length)', small)
    const text = JSON.stringify({ text: 'x'.repeat(10_000_000) })
    expect(() => realm.call({ ...CALL, first: text }, ALLOWANCE)).toThrow(new LimitReached('memory'))
    expect(small.limiter.worn).toBe(true)
  })
})
