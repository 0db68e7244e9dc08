import { describe, expect, it } from 'vitest'
import { Parts } from '../../../daemon/parts.ts'
import { type Logger, silentLogger } from '../../../src/core/logger.ts'

describe('the parts of a daemon', () => {
  it('stop in the reverse order of their start', async () => {
    const stopped: string[] = []
    const parts = new Parts(silentLogger)
    for (const name of ['store', 'net', 'api']) parts.add(name, async () => void stopped.push(name))
    await parts.stop()
    expect(stopped).toEqual(['api', 'net', 'store'])
  })

  it('stop once, however often that is asked', async () => {
    let stops = 0
    const parts = new Parts(silentLogger)
    parts.add('store', async () => void stops++)
    await Promise.all([parts.stop(), parts.stop()])
    expect(stops).toBe(1)
  })

  it('stop even if one after them cannot, which is logged', async () => {
    const stopped: string[] = []
    const logged: unknown[] = []
    const logger: Logger = { ...silentLogger, error: (fields) => logged.push(fields.part), child: () => logger }
    const parts = new Parts(logger)
    parts.add('store', async () => void stopped.push('store'))
    parts.add('net', () => Promise.reject(new Error('no')))
    await parts.stop()
    expect(stopped).toEqual(['store'])
    expect(logged).toEqual(['net'])
  })
})
