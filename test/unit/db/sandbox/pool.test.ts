import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { Logger } from '../../../../src/core/logger.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import type { JudgeRequest } from '../../../../src/db/fold/judge.ts'
import { createSandbox } from '../../../../src/db/sandbox/index.ts'
import { request, summary, WRITER } from './requests.ts'

const HONEST = request('return event.patch.json_patch.name === "Fido"', { name: 'Fido' })

/** Many times what an honest call takes, also on a busy machine. */
const WALL_CLOCK_MS = 1500

/** Runs for several times as long before it reaches its limit: it looks for something in memory with each unit of work. */
const STUCK = request(`
  let o = {}
  for (let i = 0; i < 4e5; i++) o = Object.create(o)
  for (;;) o.x`)

function countingLogger(): { logger: Logger; warnings: () => number } {
  let warnings = 0
  const logger: Logger = { ...silentLogger, warn: () => warnings++, child: () => logger }
  return { logger, warnings: () => warnings }
}

describe('a call that takes too long', () => {
  test('ends as not judged after three tries, and others are judged meanwhile', async () => {
    const { logger, warnings } = countingLogger()
    const sandbox = createSandbox({ logger, wallClockMs: WALL_CLOCK_MS })
    const stuck = sandbox.judge([HONEST, STUCK])
    const meanwhile = await sandbox.judge([HONEST])
    await expect(stuck).rejects.toMatchObject({ code: 'SANDBOX_DOWN', message: 'the sandbox gave no answer' })
    expect(warnings()).toBe(3)
    expect([...meanwhile, ...(await sandbox.judge([HONEST]))].map(summary)).toEqual(['accepted', 'accepted'])
    await sandbox.close()
  })

  test('ends a read after one try', async () => {
    const { logger, warnings } = countingLogger()
    const sandbox = createSandbox({ logger, wallClockMs: WALL_CLOCK_MS })
    await expect(sandbox.filter(STUCK.validator, WRITER, [new TextEncoder().encode('{}')])).rejects.toMatchObject({
      code: 'SANDBOX_DOWN',
    })
    expect(warnings()).toBe(1)
    await sandbox.close()
  })

  test('does not hold up others where there is one thread', async () => {
    const sandbox = createSandbox({ logger: silentLogger, threads: 1 })
    const stuck = [sandbox.judge([STUCK]), sandbox.judge([STUCK])]
    const ended = Promise.allSettled(stuck)
    expect((await sandbox.judge([HONEST])).map(summary)).toEqual(['accepted'])
    await sandbox.close()
    expect(await ended).toMatchObject([{ reason: { code: 'CLOSED' } }, { reason: { code: 'CLOSED' } }])
  })
})

describe('a function that is slow', () => {
  /** The same under another source: nobody knows yet that it is slow. */
  const stuckNumber = (number: number): JudgeRequest => request(`${STUCK.validator} // ${number}`)

  test('does not keep others waiting, also among many of its kind', async () => {
    const sandbox = createSandbox({ logger: silentLogger, threads: 1 })
    let ended = 0
    const stuck = Array.from({ length: 5 }, async (_, number) => {
      await sandbox.judge([stuckNumber(number)])
      ended++
    })
    const allEnded = Promise.allSettled(stuck)
    const verdicts = await Promise.all([sandbox.judge([HONEST]), sandbox.judge([HONEST])])
    expect(verdicts.flat().map(summary)).toEqual(['accepted', 'accepted'])
    expect(ended).toBe(0)
    await sandbox.close()
    await allEnded
  })

  test('is judged all the same, when others of its kind had to wait', async () => {
    const sandbox = createSandbox({ logger: silentLogger, threads: 2 })
    const slow = (number: number): JudgeRequest => request(`for (let i = 0; i < 8e6; i++); return ${number}`)
    const verdicts = await Promise.all(Array.from({ length: 6 }, (_, number) => sandbox.judge([slow(number)])))
    expect(verdicts.flat().map(summary)).toEqual(Array.from({ length: 6 }, (_, number) => `denied: ${number}`))
    await sandbox.close()
  })
})

describe('a sandbox', () => {
  test('runs a batch for longer than one call may take', async () => {
    const sandbox = createSandbox({ logger: silentLogger, wallClockMs: WALL_CLOCK_MS })
    const busy = request('for (let i = 0; i < 4e5; i++); return true')
    const verdicts = await sandbox.judge(Array.from({ length: 120 }, () => busy))
    expect(new Set(verdicts.map(summary))).toEqual(new Set(['accepted']))
    await sandbox.close()
  })

  test('takes many calls at once, but not any number', async () => {
    const sandbox = createSandbox({ logger: silentLogger })
    const calls = await Promise.allSettled(Array.from({ length: 1100 }, () => sandbox.judge([HONEST])))
    const refused = calls.filter((call) => call.status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.length).toBeLessThan(100)
    expect(refused[0]?.reason).toMatchObject({ code: 'SANDBOX_DOWN', message: 'too many calls wait' })
    expect((await sandbox.judge([HONEST])).map(summary)).toEqual(['accepted'])
    await sandbox.close()
  })

  test('refuses options out of range', () => {
    const logger = silentLogger
    expect(() => createSandbox({ logger, threads: 0 })).toThrow('threads is 0, must be an integer from 1 to 64')
    expect(() => createSandbox({ logger, wallClockMs: Number.NaN })).toThrow(TypeError)
  })

  test('refuses calls once it is closed, and closes twice', async () => {
    const sandbox = createSandbox({ logger: silentLogger })
    const underWay = Promise.allSettled([sandbox.judge([HONEST])])
    await sandbox.close()
    await sandbox.close()
    expect(await underWay).toMatchObject([{ reason: { code: 'CLOSED' } }])
    await expect(sandbox.judge([HONEST])).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('lets the process end while it has nothing to do', async () => {
    const source = (path: string): string => new URL(`../../../../src/${path}`, import.meta.url).href
    const script = `
      import { createSandbox } from '${source('db/sandbox/index.ts')}'
      import { silentLogger } from '${source('core/logger.ts')}'
      const sandbox = createSandbox({ logger: silentLogger })
      await sandbox.checkFunction('return true', 'read-filter')
      console.log('checked')`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
    expect(stdout).toBe('checked\n')
  })
})
