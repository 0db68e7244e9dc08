import { monotonicFactory, type ULIDFactory } from 'ulid'
import type { Caller } from '../core/caller.ts'
import type { Clock, Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import type { Draft } from '../net/index.ts'
import { type Action, refuseSecondCreate, refuseTooMany } from './actions.ts'
import { CollectionWrites } from './collection-writes.ts'
import type { CollectionRegistry } from './collections.ts'
import { collectionOf, type DatabaseDefinition, validatorsOf } from './definition.ts'
import type { JudgeRequest } from './fold/judge.ts'
import { writeContent } from './fold/well-formed.ts'
import type { InstanceReader } from './reader.ts'
import type { Sandbox } from './sandbox/index.ts'
import { stampTime } from './stamp.ts'

export interface AuthorComponents {
  /** Writes for anonymous callers. */
  readonly identity: Identity
  readonly collections: CollectionRegistry
  readonly sandbox: Sandbox
  readonly clock: Clock
  readonly random: Random
  readonly definition: () => DatabaseDefinition
}

/** Where somebody works: a collection, in the eyes of a caller. */
export interface Place {
  readonly name: string
  readonly caller: Caller
}

/** Makes the records that this host writes into a database, with what only the author of a record decides and checks. */
export class Author {
  readonly #components: AuthorComponents
  readonly #newId: ULIDFactory
  #lastModified = 0

  constructor(components: AuthorComponents) {
    this.#components = components
    this.#newId = monotonicFactory(() => unitInterval(components.random))
  }

  /** The actions of callers in a place. */
  writes({ name, caller }: Place): CollectionWrites {
    const { clock, collections } = this.#components
    const collection = () => collectionOf(this.#components.definition(), name)
    return new CollectionWrites({
      collection,
      schema: () => collections.schemaOf(collection()),
      newId: () => this.#newId(clock.nowMs()).toLowerCase(),
      modified: () => this.#nextModified(),
      judge: (actions, reader) => this.#judge(actions, { reader, caller }),
    })
  }

  /** Adds the actions to a draft as one record. Throws TOO_LARGE, INSTANCE_EXISTS, UNIQUE_VIOLATION, WRITE_DENIED. */
  async append(draft: Draft, actions: readonly Action[], caller: Caller): Promise<void> {
    if (actions.length === 0) return
    refuseTooMany(actions.length)
    refuseSecondCreate(actions)
    const { clock, collections, definition } = this.#components
    const time = stampTime(clock.nowMs(), draft.latestTime)
    const events = actions.map((action, index) => ({ ...action, timestamp: time + BigInt(index) }))
    await collections.refuseConflicts(events, draft.view, definition())
    await draft.append(caller, writeContent(events))
  }

  /** What the write validator in force would say to these actions now. Throws WRITE_DENIED. */
  async #judge(actions: readonly Action[], by: { reader: InstanceReader; caller: Caller }): Promise<void> {
    const { identity, sandbox, clock, definition } = this.#components
    const time = BigInt(clock.nowMs()) * NS_PER_MS
    const writer = by.caller.identity ?? identity
    const requests: JudgeRequest[] = []
    for (const [index, action] of actions.entries()) {
      const rule = validatorsOf(definition(), action.collection).at(-1)
      if (rule === undefined || rule.validator === '') continue
      const event = { ...action, timestamp: time + BigInt(index) }
      requests.push({ ...rule, writer, event, time, instance: await by.reader.stored(action.id) })
    }
    const verdicts = await sandbox.judge(requests, { budget: 'author' })
    for (const verdict of verdicts) if (!verdict.accepted) throw new ThreadsError('WRITE_DENIED', verdict.message)
  }

  /** Time for `_mod`, in ns; two writes never get the same, as a number can tell them apart. */
  #nextModified(): number {
    const now = this.#components.clock.nowMs() * 1e6
    this.#lastModified = Math.max(now, this.#lastModified + MOD_STEP_NS)
    return this.#lastModified
  }
}

const NS_PER_MS = 1_000_000n
/** Doubles of the size of today's time in ns are 256 apart. */
const MOD_STEP_NS = 1_000

/** A number from 0 up to, not including, 1. */
function unitInterval(random: Random): number {
  const [byte = 0] = random(1)
  return byte / 256
}
