import { decodeEvents, encodeEvents } from '../src/core/events.ts'
import { ThreadsError } from '../src/core/errors.ts'
import { MUTANTS, type MutantName } from './mutants.ts'
import type { App, FoldContext, Net, ThreadRecord } from '../src/net/index.ts'

/** Mistakes that can be made on purpose, by what a host runs on: its disk, its judge, its fold. */
const WRAPPED = [
  /** The disk says that a write is synced before it is. */
  'lost-sync',
  /** A crash leaves a part of a batch. */
  'torn-batch',
  /** A crash leaves the head of a log without its record. */
  'head-first',
  /** Index entries are never deleted. */
  'stale-index',
  /** Refusals are not stored. */
  'lost-refusal',
  /** A received record is applied once more. */
  'applied-twice',
  /** Records count in the order in which they arrive. */
  'arrival-order',
  /** Hosts judge differently. */
  'moody-judge',
] as const

export type Fault = (typeof WRAPPED)[number] | MutantName

export const FAULTS: readonly Fault[] = [...WRAPPED, ...(Object.keys(MUTANTS) as MutantName[])]

/** Throws TypeError for a name that is none. */
export function faultNamed(name: string): Fault {
  const found = FAULTS.find((fault) => fault === name)
  if (found === undefined) throw new TypeError(`${name} is no fault; there are ${FAULTS.join(', ')}`)
  return found
}

/** Makes a mistake in the fold of every thread of a host. */
export function breakFold(net: Net, fault: Fault | undefined): void {
  if (fault !== 'applied-twice' && fault !== 'arrival-order') return
  const attach = net.attach.bind(net)
  net.attach = (id, build) =>
    attach(id, (thread) => {
      const app = build(thread)
      const fold = app.fold.bind(app)
      app.fold = fault === 'applied-twice' ? twice(fold) : byArrival(fold)
      return app
    })
}

function twice(fold: App['fold']): App['fold'] {
  return async (records, context) => {
    const outcome = await fold(records, context)
    return context.local ? outcome : { ...outcome, changes: [...outcome.changes, ...outcome.changes] }
  }
}

function byArrival(fold: App['fold']): App['fold'] {
  return (records, context) => {
    let latest = latestOf(context)
    const restamped = records.map((record) => {
      const { record: moved, time } = stamped(record, latest)
      latest = time
      return moved
    })
    return fold(context.local ? records : restamped, context)
  }
}

function latestOf({ cursors }: FoldContext): bigint {
  return [...cursors.values()].reduce((latest, { time }) => (time > latest ? time : latest), 0n)
}

/** The record with its events moved behind a time. */
function stamped(record: ThreadRecord, after: bigint): { record: ThreadRecord; time: bigint } {
  if (record.body === undefined) return { record, time: after }
  try {
    const events = decodeEvents(record.body).map((event, index) => ({ ...event, timestamp: after + BigInt(index + 1) }))
    return { record: { ...record, body: encodeEvents(events) }, time: after + BigInt(events.length) }
  } catch (error) {
    if (error instanceof ThreadsError) return { record, time: after }
    throw error
  }
}
