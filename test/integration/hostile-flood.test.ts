import { tmpdir } from 'node:os'
import { expect, it } from 'vitest'
import { flood } from '../../torture/scenarios/flood.ts'

it('all changes arrive at an honest daemon while a peer floods the other, whose memory stays in bounds', async () => {
  const lines: string[] = []
  // Fails if a change does not arrive, or the memory grows by more than what peers may make a daemon hold.
  await flood.run({ rounds: 1, directory: tmpdir(), say: (line) => lines.push(line) })
  const [, forged] = /forged records (\d+)/.exec(lines.join()) ?? []
  expect(Number(forged), lines.join('\n')).toBeGreaterThan(0)
}, 300_000)
