import { beforeAll, describe, expect, test } from 'vitest'
import type { EngineBuild } from '../../../../src/db/sandbox/engine.ts'
import { loadEngineBuild } from '../../../../src/db/sandbox/engine-build.ts'
import type { Answer, SandboxCall, SandboxFunction } from '../../../../src/db/sandbox/messages.ts'
import { Runner } from '../../../../src/db/sandbox/runner.ts'

let build: EngineBuild
beforeAll(async () => {
  build = await loadEngineBuild()
})

function validator(source: string): SandboxFunction {
  return { form: 'write-validator', source }
}

function call(fn: number, event: object = {}): SandboxCall {
  return { fn, timeMs: 0, who: undefined, first: JSON.stringify(event), second: undefined }
}

async function run(runner: Runner, functions: SandboxFunction[], calls: SandboxCall[]): Promise<Answer[]> {
  return runner.run({ functions, calls, budget: 'author' }, () => {})
}

describe('a runner', () => {
  test('stops a call at the same step, whether its realm was used before or not', async () => {
    const functions = [validator('for (let i = 0; i < event.turns; i++); return true')]
    const used = new Runner(build)
    const words = new Set<string>()
    // A tick is about 5,000 turns, so these pass the last tick.
    for (let turns = 5_001_000; turns <= 5_007_000; turns += 2_000) {
      const [inNew] = await run(new Runner(build), functions, [call(0, { turns })])
      const [, inUsed] = await run(used, functions, [call(0, { turns: turns % 7_777 }), call(0, { turns })])
      expect(inUsed, `${turns} turns`).toEqual(inNew)
      words.add(inNew?.word ?? '')
    }
    expect(words).toEqual(new Set(['accepted', 'out-of-steps']))
  })

  test('gives a call the memory of its budget, however much others left', async () => {
    const functions = [
      validator('let a = []; for (let i = 0; i < event.n; i++) a.push(new Uint8Array(1e6)); return true'),
      validator('this.kept = new Uint8Array(3e7); Object.freeze(this); return true'),
    ]
    const answers = await run(new Runner(build), functions, [
      call(1),
      call(0, { n: 40 }),
      call(1),
      call(0, { n: 80 }),
      call(0, { n: 40 }),
    ])
    expect(answers.map(({ word }) => word)).toEqual(['accepted', 'accepted', 'accepted', 'out-of-memory', 'accepted'])
  })

  test('keeps answering for more functions than it has realms for', async () => {
    const functions = Array.from({ length: 60 }, (_, i) => validator(`return ${i}`))
    const calls = [...functions.keys(), ...functions.keys()].map((fn) => call(fn))
    const answers = await run(new Runner(build), functions, calls)
    expect(answers).toEqual(calls.map(({ fn }) => ({ word: 'denied-with', text: String(fn) })))
  })

  test('tells after every call that it moves', async () => {
    let moves = 0
    const work = { functions: [validator('return true')], calls: [call(0), call(0), call(0)], budget: 'judge' } as const
    await new Runner(build).run(work, () => moves++)
    expect(moves).toBe(3)
  })
})
