/**
 * Runs networks of hosts on virtual time: `npm run sim -- --seeds 100` for many; `--seed 7` for one, of which `--story 500`
 * tells the last 500 steps.
 */
import { parseArgs } from 'node:util'
import { run } from './run.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    story: { type: 'string', default: '25' },
  },
})
const first = positive('seed')
const count = positive('seeds')
const lines = positive('story')
const startedMs = performance.now()
let simulatedMs = 0
let failed = 0
let unhandled: string | undefined
process.on('unhandledRejection', (reason) => {
  unhandled = `a rejection nobody handles: ${reason instanceof Error ? reason.stack : typeof reason}`
})

for (let seed = first; seed < first + count; seed++) {
  const { failures, story, trace, steps, simulatedMs: runMs } = await run(seed)
  simulatedMs += runMs
  const [failure = unhandled] = failures
  unhandled = undefined
  if (count === 1) console.log(`seed ${seed}: ${steps} steps in ${(runMs / 1000).toFixed(1)} s, trace ${trace}`)
  if (failure === undefined) continue
  failed++
  console.log(`npm run sim -- --seed ${seed}   # ${failure}`)
  console.log(story.slice(-lines).join('\n'))
}
const realMs = performance.now() - startedMs
const hours = (simulatedMs / 3_600_000).toFixed(2)
const ratio = Math.round(simulatedMs / realMs)
console.log(`${count} networks, ${hours} h in ${(realMs / 1000).toFixed(1)} s (${ratio} to 1), ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function positive(name: 'seed' | 'seeds' | 'story'): number {
  const number = Number(values[name])
  if (Number.isInteger(number) && number >= 1) return number
  throw new TypeError(`--${name} is ${values[name]}, must be an integer from 1`)
}
