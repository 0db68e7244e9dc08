import * as fc from 'fast-check'
import { peerIdFromBytes } from '../../src/core/peer-id.ts'
import type { FoldRecord } from '../../src/db/fold/fold.ts'
import { expect, test } from 'vitest'
import { oracle, type PlainRecord } from '../support/fold-oracle.ts'
import { type Story, story, storyJudge, tell } from '../support/fold-stories.ts'
import { digestOf, foldRecordOf, FoldWorld, logNumbered, plainState } from '../support/fold-world.ts'

/** Tells a story, and compares with the oracle after every call or at the end. */
async function check(told: Story, when: 'always' | 'at the end'): Promise<void> {
  const world = new FoldWorld(storyJudge)
  const agrees = async (arrived: readonly PlainRecord[]): Promise<void> => {
    expect(await plainState(world)).toEqual(oracle(arrived, world.validators, storyJudge))
  }
  await tell(told, {
    validators: world.validators,
    fold: (records, rejudge) => world.fold(records, rejudge),
    ...(when === 'always' ? { folded: agrees } : {}),
  })
  await agrees(told.records)
}

test('short histories are in the state of the oracle after every call, however they arrive', async () => {
  await fc.assert(
    fc.asyncProperty(story(12), (told) => check(told, 'always')),
    { numRuns: 1000 },
  )
}, 120_000)

// Long enough for kept states, and for histories read in several pages.
test('long histories end in the state of the oracle, however they arrive', async () => {
  await fc.assert(
    fc.asyncProperty(story(200), (told) => check(told, 'at the end')),
    { numRuns: 40 },
  )
}, 120_000)

const changeOfEnds = fc.record({
  /** Logs whose last record is withdrawn, and whether another one takes its place in the same call. */
  logs: fc.uniqueArray(fc.record({ log: fc.nat(3), replaced: fc.boolean() }), { selector: ({ log }) => log }),
  next: fc.nat(20),
})

type ChangeOfEnds = typeof changeOfEnds extends fc.Arbitrary<infer T> ? T : never

/** Withdraws the last records of logs, one after the other, and compares with the oracle each time. */
async function withdraw(told: Story, changes: ChangeOfEnds[]): Promise<void> {
  const world = new FoldWorld(storyJudge)
  const arrived: FoldRecord[] = []
  await tell(told, {
    validators: world.validators,
    async fold(records, rejudge) {
      await world.fold(records, rejudge)
      arrived.push(...records)
    },
  })
  let records = [...told.records]
  for (const [index, { logs, next }] of changes.entries()) {
    const withdrawn: FoldRecord[] = []
    const added: FoldRecord[] = []
    for (const { log, replaced } of logs) {
      const ofLog = arrived.filter(({ position }) => position.logId === logNumbered(log))
      const last = ofLog.at(-1)
      const plain = records.findLast((each) => peerIdFromBytes(each.log) === logNumbered(log))
      if (last === undefined || plain === undefined) continue
      withdrawn.push(last)
      arrived.splice(arrived.indexOf(last), 1)
      records = records.filter((each) => each !== plain)
      if (!replaced) continue
      const { body, writer } = told.records[next % told.records.length] ?? plain
      const other = { ...plain, body, writer, digest: digestOf(`other ${index} ${log}`) }
      const record = foldRecordOf(other, ofLog.at(-2)?.position.time ?? 0n)
      records.push(other)
      arrived.push(record)
      added.push(record)
    }
    await world.work({ records: added, withdrawn })
    expect(await plainState(world)).toEqual(oracle(records, world.validators, storyJudge))
  }
}

test('withdrawn records leave the state of the oracle without them', async () => {
  const changes = fc.array(changeOfEnds, { minLength: 1, maxLength: 8, size: 'max' })
  await fc.assert(fc.asyncProperty(story(14), changes, withdraw), { numRuns: 300 })
  await fc.assert(fc.asyncProperty(story(150), changes, withdraw), { numRuns: 10 })
}, 120_000)
