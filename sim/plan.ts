import { generateKey, type PrivateKey } from '../src/core/keys.ts'
import { newThreadId, type ThreadId } from '../src/core/thread-id.ts'
import { newThreadKey, type ThreadKey } from '../src/core/thread-key.ts'
import type { CollectionConfig } from '../src/db/index.ts'
import type { Durability } from '../src/store/committer.ts'
import { RULES } from './judge.ts'
import type { Weather } from './network.ts'
import type { SeededRandom } from './random.ts'
import { makeSteps, type Step } from './steps.ts'

export interface PlannedHost {
  readonly name: string
  readonly key: PrivateKey
  readonly durability: Durability
  readonly skewMs: number
  /** Has the service keys only, at first. */
  readonly isRelay: boolean
  /** Takes part in the topics of its threads. */
  readonly gossips: boolean
  /** Takes part in Sync; without it there are the calls of go-threads. */
  readonly syncs: boolean
  /** Key of somebody who also writes on this host; his identity is another one than the host's. */
  readonly guest: PrivateKey
  /** When it starts first. */
  readonly startMs: number
  /** What a write to its disk may take that is to survive a power loss, in ms. */
  readonly syncMs: number
  /** What its journal of commits may take, in bytes. Absent: the default, which no run fills. */
  readonly feedBytes: number | undefined
  /** How often it asks its peers what they have. */
  readonly pullIntervalMs: number
  /** Records of a log that it asks for at once. */
  readonly pullRecords: number
  /** Its operator decides about logs that wait, when the host says so, and about a clock that was ahead. */
  readonly isOperated: boolean
  /** Collections that it registers when a step says so, or after the trouble. */
  readonly registersLate: readonly string[]
}

export interface PlannedThread {
  /** From 1; what steps and stories name it by. */
  readonly number: number
  readonly id: ThreadId
  readonly key: ThreadKey
  readonly collections: readonly CollectionConfig[]
}

/** What a run is made of; follows from its seed. */
export interface Plan {
  /** The first creates the threads; the others join it. */
  readonly hosts: readonly PlannedHost[]
  readonly threads: readonly PlannedThread[]
  readonly steps: readonly Step[]
  /** How long hosts write, break and part. */
  readonly troubleMs: number
  /** Probability of each write to the disk that it fails, of each that the host crashes there. */
  readonly writeFailures: number
  readonly writeCrashes: number
  /** Probability that the power of a host goes soon after it has acknowledged a write before it was synced. */
  readonly powerCuts: number
  readonly sandboxDown: number
  readonly weather: Weather
  /** Validators run in QuickJS, as they do in a daemon, instead of as functions of the simulation. */
  readonly judgesInEngine: boolean
}

/** Documents that are written together only, so that halves of transactions show. */
export const PAIR = ['pair-a', 'pair-b'] as const

const MINUTE_MS = 60_000
const MAX_HOSTS = 7

export function makePlan(random: SeededRandom): Plan {
  const count = random.chance(0.75) ? random.between(2, 4) : random.between(5, MAX_HOSTS)
  const hasRelay = count > 2 && random.chance(0.3)
  const gossips = random.chance(0.3)
  const pullsOften = random.chance(0.3)
  const troubleMs = random.between(10_000, 90_000)
  const isCalm = random.chance(0.2)
  const threads = Array.from({ length: random.between(1, 3) }, (_, index) => makeThread(index + 1, random))
  const hosts = Array.from({ length: count }, (_, index): Omit<PlannedHost, 'syncs'> => {
    const isLast = index === count - 1
    const durability = random.chance(0.35) ? 'relaxed' : 'full'
    return {
      name: 'ABCDEFG'[index] ?? '',
      key: generateKey(random.bytes),
      guest: generateKey(random.bytes),
      durability,
      skewMs: skew(random),
      isRelay: hasRelay && index === 1,
      gossips: gossips && random.chance(0.8),
      startMs: isLast && random.chance(0.5) ? random.between(troubleMs / 2, troubleMs) : index * random.between(0, 500),
      syncMs: syncMs(random, durability),
      feedBytes: random.chance(0.2) ? random.pick([500, 2_000]) : undefined,
      pullIntervalMs: pullsOften ? 1_000 : 10_000,
      pullRecords: random.pick([2, 20, 10_000]),
      isOperated: random.chance(0.6),
      registersLate: random.chance(0.2) ? ['Pears', 'Plums'] : [],
    }
  })
  const syncing = random.fork('sync')
  const withoutSync = syncing.pick([0, 0, 0.3, 1])
  return {
    hosts: hosts.map((host) => ({ ...host, syncs: !syncing.chance(withoutSync) })),
    threads,
    steps: makeSteps(random.fork('steps'), { hosts, threads: threads.map(({ number }) => number), troubleMs, isCalm }),
    troubleMs,
    writeFailures: !isCalm && random.chance(0.25) ? 0.01 : 0,
    writeCrashes: !isCalm && random.chance(0.5) ? random.pick([0.005, 0.01, 0.04]) : 0,
    powerCuts: !isCalm && random.chance(0.5) ? 0.4 : 0,
    sandboxDown: random.chance(0.2) ? 0.1 : 0,
    weather: isCalm
      ? { drop: 0, duplicate: 0, linger: 0 }
      : { drop: random.unit() * 0.2, duplicate: random.unit() * 0.2, linger: random.unit() * 0.1 },
    judgesInEngine: random.chance(0.2),
  }
}

/** The longer a write that was answered is not synced, the more may happen before it is. */
function syncMs(random: SeededRandom, durability: Durability): number {
  if (durability === 'full') return random.chance(0.4) ? 800 : 15
  return random.pick([15, 800, 6_000])
}

/** Most clocks are off by seconds, some by more than what hosts tolerate. */
function skew(random: SeededRandom): number {
  if (random.chance(0.3)) return 0
  return random.chance(0.07) ? random.between(-12, 12) * MINUTE_MS : random.between(-5_000, 5_000)
}

const SCHEMA = JSON.stringify({
  properties: {
    _id: { type: 'string' },
    n: { type: 'number' },
    u: { type: 'string' },
    w: { type: 'number' },
    o: { type: 'object', properties: { p: { type: 'string' } } },
    z: {},
  },
})

function makeThread(number: number, random: SeededRandom): PlannedThread {
  const names = ['Apples', 'Pears', 'Plums'].slice(0, random.pick([1, 1, 2, 3]))
  const collections = names.map((name): CollectionConfig => {
    const rule = random.chance(0.5) ? random.pick(RULES).source : ''
    return { name, schema: SCHEMA, indexes: random.chance(0.8) ? indexesOf(random) : [], writeValidator: rule }
  })
  return { number, id: newThreadId('raw', random.bytes), key: newThreadKey(random.bytes), collections }
}

/** The next definition of a collection. */
export function redefined(config: CollectionConfig, random: SeededRandom): CollectionConfig {
  return {
    ...config,
    indexes: random.chance(0.5) ? indexesOf(random) : (config.indexes ?? []),
    writeValidator: random.chance(0.15) ? '' : random.pick(RULES).source,
  }
}

function indexesOf(random: SeededRandom): NonNullable<CollectionConfig['indexes']> {
  const optional = [{ path: 'n' }, { path: 'o.p' }].filter(() => random.chance(0.8))
  return [...optional, { path: 'u', unique: true }]
}
