import { openMemoryStore } from '../src/store/memory-store.ts'
import type { Entry, KeyRange, Operation, OrderedStore, ReadView, Snapshot } from '../src/store/ordered-store.ts'
import type { Fault } from './faults.ts'
import type { SeededRandom } from './random.ts'
import type { Life, Scheduler } from './scheduler.ts'

/** `process`: what was written stays. `power`: only what was synced surely does. */
export type CrashKind = 'process' | 'power'

export interface DiskComponents {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly fault: Fault | undefined
  /** What a synced write may take. */
  readonly syncMs: number
}

interface Write {
  readonly operations: readonly Operation[]
  readonly synced: boolean
}

/** Of writes, in ms; of those that are synced there is a limit of its own. */
const WRITE_MS = { low: 0.2, high: 15 }

/** What a host has on disk: every write in order, so that a crash can take the last ones away. */
export class SimDisk {
  readonly #components: DiskComponents
  #writes: Write[] = []
  #underWay: Write | undefined
  /** What is stored, as long as somebody has it open. */
  #open: OrderedStore | undefined
  #changes = 0
  /** Probability that a write fails. */
  failures = 0
  /** Called when a write has arrived, with the number of writes before it. May crash the host. */
  onWrite: () => void = () => {}

  constructor(components: DiskComponents) {
    this.#components = components
  }

  get length(): number {
    return this.#writes.length
  }

  /** Whether a power loss could take something away that readers see. */
  get isUnsynced(): boolean {
    return this.#writes.at(-1)?.synced === false
  }

  /** Goes up with everything that changes what is stored. */
  get changes(): number {
    return this.#changes
  }

  /** What is stored now. */
  async read(): Promise<ReadView> {
    this.#open ??= await this.#image()
    return this.#open
  }

  /** All operations ever stored, write by write. */
  get history(): readonly (readonly Operation[])[] {
    return this.#writes.map(({ operations }) => operations)
  }

  /** What a host finds that starts now. */
  async open(life: Life): Promise<OrderedStore> {
    const inner = await this.#image()
    this.#open = inner
    return new SimStore(inner, {
      write: (write, apply) => this.#write(life, write, apply),
      close: () => {
        if (this.#open === inner) this.#open = undefined
      },
    })
  }

  async #image(): Promise<OrderedStore> {
    const store = await openMemoryStore()
    await store.batch(
      this.#writes.flatMap(({ operations }) => operations),
      { sync: false },
    )
    return store
  }

  /** Answers how many writes are left, and what the others held. */
  crash(kind: CrashKind): { kept: number; lost: readonly Operation[] } {
    const { random, fault } = this.#components
    const synced = this.#writes.findLastIndex((write) => write.synced) + 1
    const arrived = this.#underWay === undefined ? this.#writes : [...this.#writes, this.#underWay]
    // Often none of what is not synced is there.
    const sure = kind === 'process' ? this.#writes.length : synced
    let kept = kind === 'power' && random.chance(0.5) ? sure : random.between(sure, arrived.length)
    if (fault === 'lost-sync' && kind === 'power') kept = Math.max(0, kept - random.between(0, 2))
    const cut = arrived[kept]
    this.#writes = arrived.slice(0, kept).map((write) => ({ ...write, synced: true }))
    if (fault === 'torn-batch' && cut !== undefined) this.#keepPart(cut, random.between(0, cut.operations.length))
    if (fault === 'head-first' && cut !== undefined) this.#keepPart(withoutRows(cut, 'r'))
    this.#underWay = undefined
    this.#open = undefined
    this.#changes++
    return { kept, lost: arrived.slice(kept).flatMap(({ operations }) => operations) }
  }

  /** Takes the last writes away. Answers how many are left. */
  rewind(writes: number): number {
    this.#writes = this.#writes.slice(0, -writes)
    this.#open = undefined
    this.#changes++
    return this.#writes.length
  }

  #keepPart(write: Write, operations: number = write.operations.length): void {
    this.#writes.push({ operations: write.operations.slice(0, operations), synced: true })
  }

  async #write(life: Life, sent: Write, apply: (write: Write) => Promise<void>): Promise<void> {
    const { scheduler, random, fault, syncMs } = this.#components
    const write = tampered(sent, fault)
    this.#underWay = write
    this.onWrite()
    const delayMs = WRITE_MS.low + random.unit() * (write.synced ? syncMs : WRITE_MS.high)
    const fails = random.chance(this.failures)
    await scheduler.sleep(
      delayMs,
      `write ${write.operations.length}${write.synced ? ' synced' : ''}${fails ? ' fails' : ''}`,
      life,
    )
    this.#underWay = undefined
    if (fails && random.chance(0.5)) throw new Error('input/output error')
    this.#writes.push(write)
    this.#changes++
    await apply(write)
    if (fails) throw new Error('input/output error')
  }
}

function tampered(write: Write, fault: Fault | undefined): Write {
  if (fault === 'stale-index') return withoutDeletions(write, 'x')
  return fault === 'lost-refusal' ? withoutRows(write, 'v') : write
}

function withoutRows(write: Write, letter: string): Write {
  return { ...write, operations: write.operations.filter(({ key }) => key[0] !== letter.charCodeAt(0)) }
}

function withoutDeletions(write: Write, letter: string): Write {
  const dropped = ({ type, key }: Operation): boolean => type === 'del' && key[0] === letter.charCodeAt(0)
  return { ...write, operations: write.operations.filter((operation) => !dropped(operation)) }
}

interface DiskBelow {
  write(write: Write, apply: (write: Write) => Promise<void>): Promise<void>
  close(): void
}

/** The disk as one process has it open. After a failed write it takes no more, as LevelDB. */
class SimStore implements OrderedStore {
  readonly #inner: OrderedStore
  readonly #disk: DiskBelow
  #broken = false

  constructor(inner: OrderedStore, disk: DiskBelow) {
    this.#inner = inner
    this.#disk = disk
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#inner.get(key)
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#inner.getMany(keys)
  }

  entries(range: KeyRange): AsyncIterable<Entry> {
    return this.#inner.entries(range)
  }

  snapshot(): Snapshot {
    return this.#inner.snapshot()
  }

  async batch(operations: readonly Operation[], { sync }: { sync: boolean }): Promise<void> {
    if (this.#broken) throw new Error('the store takes no writes')
    try {
      await this.#disk.write({ operations, synced: sync }, ({ operations: arrived }) =>
        this.#inner.batch(arrived, { sync: false }),
      )
    } catch (error) {
      this.#broken = true
      throw error
    }
  }

  close(): Promise<void> {
    this.#disk.close()
    return this.#inner.close()
  }
}
