import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { oracle, type PlainRecord } from '../support/fold-oracle.ts'
import { type Story, story, storyJudge, tell } from '../support/fold-stories.ts'
import { FoldWorld, plainState } from '../support/fold-world.ts'

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
