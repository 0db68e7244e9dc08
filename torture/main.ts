/** Real daemons on real disks, and what can happen to them. See CONTRIBUTING.md. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Scenario, Skipped } from './scenario.ts'
import { wrongClock } from './scenarios/clock.ts'
import { damagedFiles } from './scenarios/damage.ts'
import { fullDisk, readOnlyDisk } from './scenarios/disk.ts'
import { flood } from './scenarios/flood.ts'
import { killAtCommit, killAtRandom } from './scenarios/kill.ts'
import { stopAndContinue } from './scenarios/pause.ts'

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'kill-at-random': killAtRandom,
  'kill-at-commit': killAtCommit,
  'stop-and-continue': stopAndContinue,
  'full-disk': fullDisk,
  'read-only-disk': readOnlyDisk,
  'damaged-files': damagedFiles,
  'wrong-clock': wrongClock,
  flood,
}

const USAGE = `Usage: npm run torture -- [--rounds N] [--only NAME]

  --rounds    how often what is left to chance is tried (default 3)
  --only      one of ${Object.keys(SCENARIOS).join(', ')}
`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '3' }, only: { type: 'string' }, help: { type: 'boolean' } },
  })
  const rounds = Number(values.rounds)
  const isKnown = values.only === undefined || Object.hasOwn(SCENARIOS, values.only)
  if (values.help === true || !isKnown || !(rounds > 0)) {
    process.stdout.write(USAGE)
    return values.help === true ? 0 : 1
  }
  let failed = 0
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    if (values.only === undefined || values.only === name) failed += (await torture(name, scenario, rounds)) ? 0 : 1
  }
  console.log(failed === 0 ? 'nothing acknowledged was lost' : `${failed} failed`)
  return failed === 0 ? 0 : 1
}

/** Answers whether all was well. What a failed scenario left stays for a look. */
async function torture(name: string, scenario: Scenario, rounds: number): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), `torture-${name}-`))
  console.log(`${name}: ${scenario.title}`)
  try {
    await scenario.run({ rounds, directory, say: (line) => console.log(`  ${line}`) })
  } catch (error) {
    if (!(error instanceof Skipped)) {
      console.error(`  FAILED, data in ${directory}:`, error)
      return false
    }
    console.log(`  skipped: ${error.message}`)
  }
  await rm(directory, { recursive: true, force: true })
  return true
}

process.exitCode = await main()
