import { expect, it } from 'vitest'
import { branchKey } from '../../../src/net/chain-key.ts'
import { branchesByLog, branchesOf, heldRows, heldUntil, mainChains, partsTo } from '../../../src/net/chains.ts'
import { emptyLog, type LogState } from '../../../src/net/rows.ts'
import { LogMaker } from '../../support/log-maker.ts'

/*
 * main   1 2 3 4 5 6
 * two        3 4 5      parts after 2
 * three          5 6 7  parts from two, after 4
 * four   1 2            parts at the start
 */
const { key } = new LogMaker()
const main = { ...emptyLog(1, key.publicKey), head: { counter: 6, cid: undefined } }
const two = branch(2, { parent: main.chain, base: 2 }, 5)
const three = branch(3, { parent: two.chain, base: 4 }, 7)
const four = branch(4, { parent: main.chain, base: 0 }, 2)
const other = emptyLog(5, new LogMaker().key.publicKey)
const thread = { logs: new Map([main, two, three, four, other].map((log) => [log.chain, log])) }

function branch(number: number, point: NonNullable<LogState['branch']>, counter: number): LogState {
  const log = emptyLog(number, key.publicKey)
  return { ...log, chain: branchKey(log.id, number), branch: point, head: { counter, cid: undefined } }
}

function parts(log: LogState, counter: number): [number, number][] {
  return partsTo(thread, { log, counter }).map((part) => [part.log.number, part.counter])
}

it('the chains of a thread are main ones and branches of logs', () => {
  expect(mainChains(thread)).toEqual([main, other])
  expect(branchesOf(thread, main.id)).toEqual([two, three, four])
  expect([...branchesByLog(thread)]).toEqual([[main.id, [two, three, four]]])
})

it('the records up to a place are parts of rows, back to the start of the log', () => {
  expect(parts(main, 6)).toEqual([[1, 6]])
  expect(parts(three, 7)).toEqual([
    [1, 2],
    [2, 4],
    [3, 7],
  ])
  expect(parts(four, 2)).toEqual([[4, 2]])
  expect(parts(main, 0)).toEqual([])
})

it.each<[string, [LogState, number][], [number, number, number, number]]>([
  ['nothing', [], [0, 0, 0, 0]],
  ['the head of the main chain', [[main, 6]], [6, 2, 2, 0]],
  ['a record before the branches', [[main, 1]], [1, 1, 1, 0]],
  ['the end of a branch', [[three, 7]], [2, 4, 7, 0]],
  ['a record of a branch before another parts from it', [[two, 3]], [2, 3, 3, 0]],
  [
    'records of several chains',
    [
      [two, 5],
      [main, 4],
      [four, 1],
    ],
    [4, 5, 4, 1],
  ],
])('who holds %s holds each chain so far', (_, places, counters) => {
  const held = heldRows(
    thread,
    places.map(([log, counter]) => ({ log, counter })),
  )
  const until = (log: LogState): number => heldUntil(thread, held, { log, counter: log.head.counter })
  expect([main, two, three, four].map(until)).toEqual(counters)
})
