/**
 * Runs networks of hosts on virtual time:
 *
 *     npm run sim -- --seeds 500                 many networks
 *     npm run sim -- --hours 8                   as many as there is time for; --forever without end
 *     npm run sim -- --seed 7 --story 500        one, with the last 500 lines of its story; --all tells every event
 *     npm run sim -- --faults                    mistakes made on purpose, each until a network shows it
 *
 * `--workers 2` says how many run side by side, `--fault NAME` makes a mistake on purpose, and `--without` leaves out parts
 * of a network, as the command does that is printed for one that failed.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { parseCut } from './cut.ts'
import { FAULTS, faultNamed } from './faults.ts'
import { findFault } from './find-fault.ts'
import { type Outcome, PLAIN_TASK, runAll, SimThread, type Task } from './pool.ts'
import { Tally } from './tally.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    hours: { type: 'string' },
    forever: { type: 'boolean', default: false },
    faults: { type: 'boolean', default: false },
    fault: { type: 'string' },
    without: { type: 'string', default: '' },
    story: { type: 'string', default: '60' },
    all: { type: 'boolean', default: false },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
})

const HOUR_MS = 3_600_000
/** How often a long run says how it goes. */
const REPORT_MS = 60_000
/** Time for finding a smaller network that fails alike. */
const SHRINK_MS = 60_000
/** Seeds within which a fault must be found. */
const FAULT_SEEDS = 200

const fault = values.fault === undefined ? undefined : faultNamed(values.fault)
const workers = whole('workers', values.workers)
const first = whole('seed', values.seed ?? '1')

if (values.faults) process.exitCode = await findFaults()
else if (values.forever || values.hours !== undefined || values.seeds !== undefined) process.exitCode = await runMany()
else process.exitCode = await runOne()

async function runOne(): Promise<number> {
  parseCut(values.without)
  const thread = new SimThread({ fault })
  const told = { without: values.without, lines: whole('story', values.story), everything: values.all }
  const { story, failure, steps, simulatedMs, trace } = await thread.run({ ...PLAIN_TASK, ...told, seed: first })
  await thread.close()
  console.log(story.join('\n'))
  const verdict = failure === undefined ? 'agrees on everything' : `fails: ${failure}`
  console.log(`seed ${first} ${verdict}; ${steps} steps in ${(simulatedMs / 1000).toFixed(1)} s, trace ${trace}`)
  return failure === undefined ? 0 : 1
}

async function runMany(): Promise<number> {
  const endMs = values.hours === undefined ? undefined : performance.now() + Number(values.hours) * HOUR_MS
  const isOpenEnded = values.forever || endMs !== undefined
  const count = isOpenEnded ? Number.POSITIVE_INFINITY : whole('seeds', values.seeds ?? '1')
  const tally = new Tally()
  const reporting = setInterval(() => console.log(tally.text), REPORT_MS)
  const more = (): boolean => endMs === undefined || performance.now() < endMs
  const onOutcome = (outcome: Outcome): void => {
    tally.add(outcome)
    if (outcome.failure !== undefined) console.log(reportOf(outcome))
  }
  await runAll(seedsFrom(first, count, more), { workers, onOutcome, setup: { fault } })
  clearInterval(reporting)
  console.log(tally.text)
  return tally.failed === 0 ? 0 : 1
}

function* seedsFrom(from: number, count: number, more: () => boolean): Generator<Task, undefined> {
  for (let seed = from; seed < from + count && more(); seed++) yield { ...PLAIN_TASK, seed, shrinkMs: SHRINK_MS }
  return undefined
}

function reportOf({ seed, failure, without, story }: Outcome): string {
  const parts = [
    `seed ${seed}`,
    ...(fault === undefined ? [] : [`fault ${fault}`]),
    ...(without === '' ? [] : [`without ${without}`]),
  ]
  const command = `npm run sim -- ${parts.map((part) => `--${part}`).join(' ')}`
  return `\nFAILED: ${failure}\nrepeat it with: ${command}\nwhat happened:\n${story.join('\n')}\n`
}

/** Looks for each fault, or the one named, with one seed after the other. */
async function findFaults(): Promise<number> {
  const waiting = fault === undefined ? [...FAULTS] : [fault]
  let missed = 0
  const lanes = Array.from({ length: workers }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const found = await findFault(next, { from: first, seeds: FAULT_SEEDS })
      console.log(
        `${next.padEnd(24)} ${found === undefined ? 'is NOT found' : `seed ${found.seed}: ${found.failure?.split('\n')[0]}`}`,
      )
      if (found === undefined) missed++
    }
  })
  await Promise.all(lanes)
  return missed === 0 ? 0 : 1
}

function whole(name: string, text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1) return number
  throw new TypeError(`--${name} is ${text}, must be an integer from 1`)
}
