import type { CID } from 'multiformats/cid'
import { hasCode } from '../../core/errors.ts'
import type { BlockSession } from '../protocol/block-source.ts'

/** Times that a fetch is tried anew, in all: a peer that is slow on purpose is left in the end. */
const MAX_RETRIES = 3

/**
 * A session that is opened when it is needed, and anew after it broke: a walk of many thousand steps need not begin from
 * its start. A fetch fails when the session breaks before a block has come. For one fetch at a time.
 */
export class LastingSession implements BlockSession {
  readonly #open: () => Promise<BlockSession>
  #session: BlockSession | undefined
  #isBarren = true
  #retries = 0

  constructor(open: () => Promise<BlockSession>) {
    this.#open = open
  }

  async fetch(cids: readonly CID[]): Promise<Uint8Array[]> {
    for (;;) {
      try {
        this.#session ??= await this.#open()
        const blocks = await this.#session.fetch(cids)
        this.#isBarren = false
        return blocks
      } catch (error) {
        if (!hasCode(error, 'PEER_UNREACHABLE')) throw error
        this.close()
        const isHopeless = this.#isBarren || this.#retries++ >= MAX_RETRIES
        this.#isBarren = true
        if (isHopeless) throw error
      }
    }
  }

  close(): void {
    this.#session?.close()
    this.#session = undefined
  }
}
