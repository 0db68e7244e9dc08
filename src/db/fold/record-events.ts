import { ThreadsError } from '../../core/errors.ts'
import { type Position, positionName } from './position.ts'
import type { FoldRecord, FoldState, InstanceKey } from './state.ts'
import type { FoldEvent } from './well-formed.ts'

/** The events of a record for one instance, in order. */
export interface Touch {
  readonly key: InstanceKey
  readonly events: FoldEvent[]
}

/** A record with its events by instance. One that is refused whole has none. */
export interface EventRecord extends FoldRecord {
  readonly events: readonly FoldEvent[]
  /** By `keyName`. */
  readonly touches: ReadonlyMap<string, Touch>
}

/** A string for each instance of a thread. Collection names hold no slash. */
export function keyName({ collection, id }: InstanceKey): string {
  return `${collection}/${id}`
}

export function byInstance(record: FoldRecord): EventRecord {
  const events = record.content.kind === 'events' ? record.content.events : []
  const touches = new Map<string, Touch>()
  for (const event of events) {
    const key = { collection: event.collection, id: event.id }
    const name = keyName(key)
    const touch = touches.get(name)
    if (touch === undefined) touches.set(name, { key, events: [event] })
    else touch.events.push(event)
  }
  return { ...record, events, touches }
}

/** What a record does to an instance of which the history says that it touches it. Throws STORE_CORRUPT. */
export function touchOf(record: EventRecord, name: string): Touch {
  const touch = record.touches.get(name)
  if (touch !== undefined) return touch
  throw new ThreadsError('STORE_CORRUPT', 'the history of an instance names a record that does not touch it')
}

/** What a loaded record is taken to cost beside its patches, for each event. */
const EVENT_BYTES = 256
const MAX_CACHED_BYTES = 32 * 1024 * 1024

/** Loads records that were folded before. Keeps some: the histories of several instances often share theirs. */
export class RecordLoader {
  readonly #state: FoldState
  readonly #loaded = new Map<string, EventRecord>()
  #bytes = 0

  constructor(state: FoldState) {
    this.#state = state
  }

  async load(position: Position): Promise<EventRecord> {
    const name = positionName(position)
    const known = this.#loaded.get(name)
    if (known !== undefined) return known
    const record = byInstance(await this.#state.record(position))
    this.#keep(name, record)
    return record
  }

  #keep(name: string, record: EventRecord): void {
    for (const { patch } of record.events) this.#bytes += EVENT_BYTES + (patch?.length ?? 0)
    if (this.#bytes > MAX_CACHED_BYTES) {
      this.#loaded.clear()
      this.#bytes = 0
    }
    this.#loaded.set(name, record)
  }
}
