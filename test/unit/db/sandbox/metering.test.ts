import { describe, expect, test } from 'vitest'
import { NO_LIMIT, meterModule, WORK_LEFT } from '../../../../src/db/sandbox/metering.ts'

const I32 = 0x7f
const MAGIC = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]

interface Metered {
  run(turns: number): number
  readonly workLeft: WebAssembly.Global
}

/** A module of one function with a parameter, a memory and a global, made from the instructions of the body. */
function moduleOf(body: readonly number[]): Uint8Array {
  const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content]
  const code = [0, ...body, 0x0b]
  return Uint8Array.of(
    ...MAGIC,
    ...section(1, 1, 0x60, 1, I32, 1, I32),
    ...section(3, 1, 0),
    ...section(5, 1, 0, 1),
    ...section(6, 1, I32, 1, 0x41, 0, 0x0b),
    ...section(7, 1, 3, ...new TextEncoder().encode('run'), 0, 0),
    ...section(10, 1, code.length, ...code),
  )
}

async function start(body: readonly number[]): Promise<Metered> {
  const module = await WebAssembly.compile(meterModule(moduleOf(body)))
  const { run, [WORK_LEFT]: workLeft } = (await WebAssembly.instantiate(module, {})).exports
  if (typeof run !== 'function' || !(workLeft instanceof WebAssembly.Global)) throw new TypeError('not exported')
  return { run: (turns) => Number(run(turns)), workLeft }
}

/** Counts its parameter down to 0: loop, local = local - 1, br_if 0. */
const COUNT_DOWN = [0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 0]

/** Fills as many bytes as its parameter says, and answers 1: memory.fill. */
const FILL = [0x41, 0, 0x41, 7, 0x20, 0, 0xfc, 11, 0, 0x41, 1]

/** Copies as many bytes as its parameter says, and answers 1: memory.copy. */
const COPY = [0x41, 0, 0x41, 8, 0x20, 0, 0xfc, 10, 0, 0, 0x41, 1]

describe('a metered module', () => {
  test('counts the turns of its loops and the calls of its functions', async () => {
    const { run, workLeft } = await start(COUNT_DOWN)
    expect(workLeft.value).toBe(NO_LIMIT)
    workLeft.value = 1000
    expect(run(100)).toBe(0)
    expect(workLeft.value).toBe(1000 - 1 - 100)
    expect(run(1)).toBe(0)
    expect(workLeft.value).toBe(1000 - 1 - 100 - 1 - 1)
  })

  test.each([
    ['fills', FILL],
    ['copies', COPY],
  ])('counts the bytes that it %s', async (_, body) => {
    const { run, workLeft } = await start(body)
    workLeft.value = 5000
    expect(run(64_000)).toBe(1)
    expect(workLeft.value).toBe(5000 - 1 - 64_000 / 16)
    expect(() => run(64_000)).toThrow(WebAssembly.RuntimeError)
    expect(workLeft.value).toBeLessThan(0)
  })

  test('stops with the first turn for which nothing is left', async () => {
    const { run, workLeft } = await start(COUNT_DOWN)
    workLeft.value = 11
    expect(run(10)).toBe(0)
    workLeft.value = 10
    expect(() => run(10)).toThrow(WebAssembly.RuntimeError)
    expect(() => run(1)).toThrow(WebAssembly.RuntimeError)
  })

  test('is not made from what the engine does not have', () => {
    expect(() => meterModule(moduleOf([0xfd, 12, 0x41, 1]))).toThrow('unknown instruction 0xfd')
    expect(() => meterModule(moduleOf([0xfc, 9, 0, 0x41, 1]))).toThrow('unknown instruction 0xfc 9')
    expect(() => meterModule(moduleOf([0x41]).subarray(0, 8))).toThrow(TypeError)
  })
})
