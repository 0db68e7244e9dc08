import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { CID } from 'multiformats/cid'
import { cidOf, encode } from '../../../../src/core/cbor.ts'
import { ThreadsError } from '../../../../src/core/errors.ts'
import type { BlockSession } from '../../../../src/net/protocol/block-source.ts'
import { LastingSession } from '../../../../src/net/replication/lasting-session.ts'

const block = encode(randomBytes(40))
const cid = cidOf(block)

/** Sessions that answer so many times each, then break. */
function sessions(...answers: number[]) {
  const noted = { opened: 0, closed: 0, code: 'PEER_UNREACHABLE' as 'PEER_UNREACHABLE' | 'RECORD_NOT_FOUND' }
  const open = async (): Promise<BlockSession> => {
    let left = answers[noted.opened++]
    if (left === undefined) throw new ThreadsError('PEER_UNREACHABLE', 'nobody there')
    const fetch = async (cids: readonly CID[]): Promise<Uint8Array[]> => {
      if (left === undefined || left-- <= 0) throw new ThreadsError(noted.code, 'broken')
      return cids.map(() => block)
    }
    return { fetch, close: () => void noted.closed++ }
  }
  return { noted, session: new LastingSession(open) }
}

async function fetches(session: BlockSession): Promise<number> {
  for (let count = 0; ; count++) {
    try {
      expect(await session.fetch([cid])).toEqual([block])
    } catch (error) {
      expect(error).toBeInstanceOf(ThreadsError)
      return count
    }
  }
}

describe('a lasting session', () => {
  it('goes on after it broke', async () => {
    const { session, noted } = sessions(3, 2, 1)
    expect(await fetches(session)).toBe(6)
    expect(noted).toMatchObject({ opened: 4, closed: 3 })
  })

  it('fails when it breaks before a block has come, but can be tried again', async () => {
    const { session, noted } = sessions(2, 0, 1)
    expect(await fetches(session)).toBe(2)
    expect(noted.opened).toBe(2)
    expect(await session.fetch([cid])).toEqual([block])
  })

  it('fails at once where nobody is, or the peer lacks a block', async () => {
    const nobody = sessions()
    expect(await fetches(nobody.session)).toBe(0)
    expect(nobody.noted.opened).toBe(1)
    const lacking = sessions(1, 1)
    lacking.noted.code = 'RECORD_NOT_FOUND'
    expect(await fetches(lacking.session)).toBe(1)
    expect(lacking.noted.opened).toBe(1)
  })

  it('is not tried without end', async () => {
    const { session, noted } = sessions(...Array.from({ length: 100 }, () => 1))
    expect(await fetches(session)).toBe(4)
    expect(noted.opened).toBe(4)
    session.close()
    expect(noted.closed).toBe(4)
  })
})
