import { beforeEach, describe, expect, it } from 'vitest'
import { FairTurns } from '../../../src/api/fair-turns.ts'

const hostile = {}
const honest = {}
let turns: FairTurns
let begun: string[]
let ends: Map<string, () => void>
const { signal } = new AbortController()

beforeEach(() => {
  turns = new FairTurns(2)
  begun = []
  ends = new Map()
})

function run(name: string, connection: object, until: AbortSignal = signal): Promise<void> {
  const task = (): Promise<void> => {
    begun.push(name)
    return new Promise((resolve) => ends.set(name, resolve))
  }
  return turns.run(task, { connection, signal: until })
}

async function end(...names: string[]): Promise<void> {
  for (const name of names) {
    ends.get(name)?.()
    for (let turn = 0; turn < 10; turn++) await Promise.resolve()
  }
}

describe('fair turns', () => {
  it('come to each connection, however many tasks another one has', async () => {
    const done = ['a', 'b', 'c', 'd', 'e'].map((name) => run(name, hostile))
    done.push(run('honest', honest))
    expect(begun).toEqual(['a', 'b'])
    await end('a', 'b')
    expect(begun).toEqual(['a', 'b', 'c', 'honest'])
    await end('honest', 'c', 'd', 'e')
    await Promise.all(done)
    expect(begun).toHaveLength(6)
  })

  it('are given on by tasks that fail, and not taken by those that are given up', async () => {
    const abort = new AbortController()
    const failing = turns.run(() => Promise.reject(new Error('failed')), { connection: hostile, signal })
    const running = run('a', hostile)
    const givenUp = run('b', honest, abort.signal)
    const waiting = run('c', honest)
    abort.abort(new Error('given up'))
    await expect(givenUp).rejects.toThrow('given up')
    await expect(failing).rejects.toThrow('failed')
    await end('a', 'c')
    await Promise.all([running, waiting])
    expect(begun).toEqual(['a', 'c'])
    const again = [run('d', hostile), run('e', hostile)]
    expect(begun).toEqual(['a', 'c', 'd', 'e'])
    await end('d', 'e')
    await Promise.all(again)
  })
})
