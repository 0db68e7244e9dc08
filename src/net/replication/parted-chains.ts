import type { CID } from 'multiformats/cid'
import { canonicalise, cidOf } from '../../core/cbor.ts'
import type { LogId } from '../../core/peer-id.ts'
import type { RecordBlocks } from '../../core/record.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { Replica } from '../replica.ts'
import type { Scope } from './plan.ts'

/**
 * What a host that holds all chains of a log tells a peer of them, so that the peer finds where its own part from these:
 * their heads, and if that is not enough records before them, ever fewer towards the start.
 */
export class PartedChains {
  readonly #replica: Replica
  readonly #threadId: ThreadId
  /** The last records of runs that brought nothing new: the chains part behind them. */
  readonly #passed = new Map<LogId, CID[]>()

  constructor(replica: Replica, threadId: ThreadId) {
    this.#replica = replica
    this.#threadId = threadId
  }

  /** Records held besides the heads of main chains. */
  async held({ only = new Set(), locate = false }: Scope): Promise<ReadonlyMap<LogId, readonly CID[]>> {
    const heads = this.#replica.branchHeads(this.#threadId)
    if (!locate) return heads
    const held = new Map(heads)
    for (const id of only) {
      const marks = await this.#replica.waymarks(this.#threadId, id)
      held.set(id, [...(heads.get(id) ?? []), ...(this.#passed.get(id) ?? []), ...marks])
    }
    return held
  }

  /** Whether a chain with this head is not here as a whole. */
  async isLacking(logId: LogId, head: CID): Promise<boolean> {
    return !(await this.#isHere(logId, head))
  }

  /** Notes a run of which all was here. Answers whether that is news. */
  async pass(logId: LogId, records: readonly RecordBlocks[]): Promise<boolean> {
    const last = records.at(-1)
    if (last === undefined) return false
    const cid = cidOf(canonicalise(last.recordNode))
    const passed = this.#passed.get(logId) ?? []
    if (passed.some((each) => each.equals(cid)) || !(await this.#isHere(logId, cid))) return false
    this.#passed.set(logId, [...passed, cid])
    return true
  }

  async #isHere(logId: LogId, cid: CID): Promise<boolean> {
    return (await this.#replica.counterOf(this.#threadId, logId, cid)) !== undefined
  }
}
