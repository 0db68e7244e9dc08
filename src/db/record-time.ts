import { equalBytes } from '../core/bytes.ts'
import type { RecordPlace, ThreadRecord } from '../net/index.ts'
import type { Position } from './fold/position.ts'
import type { FoldState } from './fold/state.ts'
import { type Content, readContent } from './fold/well-formed.ts'

const PAGE_ENTRIES = 32
const NO_BYTES = new Uint8Array(0)

export interface RecordTimes {
  readonly state: Pick<FoldState, 'historyAfter'>
  record(place: RecordPlace): Promise<ThreadRecord>
}

/**
 * Time of a record that was folded, which is not stored with it: it is in the history of any instance the record touches.
 * One that touches none has at least the time of the record before it. Reads few rows if writers stamp as this one does.
 */
export async function timeOfRecord(place: RecordPlace, times: RecordTimes): Promise<bigint> {
  let latest = 0n
  for (let at: RecordPlace | undefined = place; at !== undefined; ) {
    const { author, body, logId, counter, prev }: ThreadRecord = await times.record(at)
    const content = readContent(author === undefined ? undefined : body)
    if (content.kind === 'events') {
      for (const { timestamp } of content.events) if (timestamp > latest) latest = timestamp
      const time = await entryTime(times.state, content, at)
      if (time !== undefined) return time > latest ? time : latest
    }
    at = prev && { logId, counter: counter - 1, digest: prev.multihash.digest }
  }
  return latest
}

/** Time of the entry that the record left; `undefined` if it left none. */
async function entryTime(
  state: RecordTimes['state'],
  { events }: Extract<Content, { kind: 'events' }>,
  { logId, counter, digest }: RecordPlace,
): Promise<bigint | undefined> {
  const [first] = events
  if (first === undefined) return undefined
  const key = { collection: first.collection, id: first.id }
  const time = events.reduce((latest, { timestamp }) => (timestamp > latest ? timestamp : latest), 0n)
  let after: Position = { time, logId, counter, digest: NO_BYTES }
  for (;;) {
    const page = await state.historyAfter(key, after, PAGE_ENTRIES)
    for (const { position } of page) {
      if (position.logId === logId && position.counter === counter && equalBytes(position.digest, digest)) {
        return position.time
      }
      after = position
    }
    if (page.length < PAGE_ENTRIES) return undefined
  }
}
