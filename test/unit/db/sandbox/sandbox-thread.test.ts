import { readdirSync } from 'node:fs'
import { getPriority, platform } from 'node:os'
import { describe, expect, test } from 'vitest'
import type { CompiledEngine, Work } from '../../../../src/db/sandbox/messages.ts'
import { SandboxThread } from '../../../../src/db/sandbox/sandbox-thread.ts'

const call = { fn: 0, timeMs: 0, who: undefined, first: '{}', second: undefined }
const work: Work = { functions: [{ form: 'write-validator', source: 'return 1' }], calls: [call], budget: 'author' }
const answers = [{ word: 'denied-with', text: '1' }]

describe('a thread', () => {
  test('uses the engine that another has made', async () => {
    const made: CompiledEngine[] = []
    const onWasm = (wasm: CompiledEngine): void => void made.push(wasm)
    const first = new SandboxThread(undefined, onWasm)
    expect(await first.run(work)).toEqual(answers)
    const second = new SandboxThread(made[0], onWasm)
    expect(await second.run(work)).toEqual(answers)
    expect(made.length).toBe(1)
    await Promise.all([first, second].map((thread) => thread.kill(new Error('the test is over'))))
  })

  test.skipIf(platform() !== 'linux')('lets the others of its process run first once it is told to', async () => {
    const thread = new SandboxThread(undefined, () => {})
    await thread.run(work)
    const before = lowThreads()
    thread.lower()
    expect(thread.isLow).toBe(true)
    expect(lowThreads()).toBe(before + 1)
    expect(await thread.run(work)).toEqual(answers)
    await thread.kill(new Error('the test is over'))
  })
})

/** Threads of this process that get less time than the main one. */
function lowThreads(): number {
  return readdirSync('/proc/self/task').filter((id) => getPriority(Number(id)) > getPriority()).length
}
