import { generateKey, type PrivateKey } from '../src/core/keys.ts'
import { newThreadId, type ThreadId } from '../src/core/thread-id.ts'
import { newThreadKey, type ThreadKey } from '../src/core/thread-key.ts'
import type { CollectionConfig } from '../src/db/index.ts'
import type { Durability } from '../src/store/committer.ts'
import { GUARD } from './judge.ts'
import type { Weather } from './network.ts'
import type { SeededRandom } from './random.ts'

export interface PlannedHost {
  readonly name: string
  readonly key: PrivateKey
  readonly durability: Durability
  readonly skewMs: number
  /** Has the service keys only. */
  readonly isRelay: boolean
  /** When it starts first. */
  readonly startMs: number
}

export interface PlannedThread {
  readonly id: ThreadId
  readonly key: ThreadKey
  readonly collections: readonly (CollectionConfig & { readonly isJudged: boolean })[]
}

/** What a run is made of; follows from its seed. */
export interface Plan {
  readonly hosts: readonly PlannedHost[]
  readonly threads: readonly PlannedThread[]
  readonly operations: number
  /** How long hosts write, break and part. */
  readonly troubleMs: number
  readonly crashes: number
  readonly partitions: number
  /** Probability of each write to the disk that it fails, of each that the host crashes there. */
  readonly writeFailures: number
  readonly writeCrashes: number
  readonly sandboxDown: number
  readonly weather: Weather
}

/** Documents that are written together only, so that halves of transactions show. */
export const PAIR = ['pair-a', 'pair-b'] as const

const MINUTE_MS = 60_000

export function makePlan(random: SeededRandom): Plan {
  const count = random.between(2, 5)
  const hasRelay = count > 2 && random.chance(0.3)
  const troubleMs = random.between(10_000, 90_000)
  const isCalm = random.chance(0.2)
  const hosts = Array.from({ length: count }, (_, index): PlannedHost => {
    const isLast = index === count - 1
    return {
      name: 'ABCDE'[index] ?? '',
      key: generateKey(random.bytes),
      durability: random.chance(0.25) ? 'relaxed' : 'full',
      skewMs: skew(random),
      isRelay: hasRelay && index === 1,
      startMs: isLast && random.chance(0.5) ? random.between(troubleMs / 2, troubleMs) : index * random.between(0, 500),
    }
  })
  return {
    hosts,
    threads: Array.from({ length: random.between(1, 2) }, () => makeThread(random)),
    operations: random.between(20, 90),
    troubleMs,
    crashes: isCalm ? 0 : random.between(0, 5),
    partitions: isCalm ? 0 : random.between(0, 4),
    writeFailures: !isCalm && random.chance(0.25) ? 0.01 : 0,
    writeCrashes: !isCalm && random.chance(0.5) ? 0.01 : 0,
    sandboxDown: random.chance(0.2) ? 0.1 : 0,
    weather: isCalm
      ? { drop: 0, duplicate: 0, linger: 0 }
      : { drop: random.unit() * 0.2, duplicate: random.unit() * 0.2, linger: random.unit() * 0.1 },
  }
}

/** Most clocks are off by seconds, some by more than what hosts tolerate. */
function skew(random: SeededRandom): number {
  if (random.chance(0.3)) return 0
  return random.chance(0.07) ? random.between(-12, 12) * MINUTE_MS : random.between(-5_000, 5_000)
}

const SCHEMA = JSON.stringify({
  properties: { _id: { type: 'string' }, n: { type: 'number' }, u: { type: 'string' }, w: { type: 'number' } },
})

function makeThread(random: SeededRandom): PlannedThread {
  const names = random.chance(0.5) ? ['Apples'] : ['Apples', 'Pears']
  const collections = names.map((name) => {
    const isJudged = random.chance(0.5)
    const indexes = random.chance(0.8) ? [{ path: 'n' }, { path: 'u', unique: true }] : []
    return { name, schema: SCHEMA, indexes, isJudged, ...(isJudged && { writeValidator: GUARD }) }
  })
  return { id: newThreadId('raw', random.bytes), key: newThreadKey(random.bytes), collections }
}
