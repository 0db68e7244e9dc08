import { hasCode } from '../src/core/errors.ts'
import type { Logger } from '../src/core/logger.ts'
import type { LostRecord } from './check-told.ts'
import type { Fault } from './faults.ts'
import type { SimHost } from './host.ts'
import type { EngineJudge } from './judge.ts'
import type { SimNetwork } from './network.ts'
import type { Plan } from './plan.ts'
import type { SeededRandom } from './random.ts'
import type { Life, Scheduler } from './scheduler.ts'

/** Everything of one run. */
export interface World {
  readonly plan: Plan
  readonly random: SeededRandom
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly hosts: readonly SimHost[]
  readonly fault: Fault | undefined
  /** Judges in place of the functions of the simulation. */
  readonly engine: EngineJudge | undefined
  /** Ends when the network heals. */
  trouble: boolean
  /** Records that a power loss took before they were synced. */
  readonly lost: LostRecord[]
  readonly failures: string[]
}

export function fail(world: Pick<World, 'failures' | 'scheduler'>, text: string): void {
  world.failures.push(text)
  world.scheduler.tell(`FAILURE: ${text}`)
}

/** Messages of errors that the simulation causes itself. */
const EXPECTED = [
  'a write failed, the store takes no writes until it is open again',
  'the store could not be opened again',
]

/** The same of a host whose disk was replaced by an older copy. */
const EXPECTED_OF_RESTORED = 'a log of this host was also continued elsewhere; it is written no more'

/** Takes errors that are logged for failures of the run. */
export function simLogger(
  world: Pick<World, 'failures' | 'scheduler'>,
  { life, isRestored, onWaits }: { life: Life; isRestored: boolean; onWaits: (thread: unknown) => void },
): Logger {
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    warn: (fields, message) => {
      if (!life.alive) return
      world.scheduler.tell(`${life.name}  warns: ${message}${describe(fields)}`)
      if (message === 'a log waits') onWaits(fields['thread'])
    },
    error: (fields, message) => {
      if (!life.alive) return
      const isOfDisk = hasCode(fields['error'], 'STORE_FAILED') || hasCode(fields['error'], 'STORE_READONLY')
      const isExpected = EXPECTED.includes(message) || (isRestored && message === EXPECTED_OF_RESTORED)
      if (isOfDisk || isExpected) world.scheduler.tell(`${life.name}  says: ${message}`)
      else fail(world, `${life.name} logs an error: ${message}${describe(fields)}`)
    },
    child: () => logger,
  }
  return logger
}

function describe({ error, reason }: Record<string, unknown>): string {
  if (error instanceof Error) return `: ${String(error.stack)}`
  return typeof reason === 'string' ? `: ${reason}` : ''
}
