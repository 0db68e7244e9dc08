import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../../../src/core/address.ts'
import { cidOf } from '../../../../src/core/cbor.ts'
import type { LogId } from '../../../../src/core/peer-id.ts'
import {
  freshLogs,
  planExchange,
  planGap,
  planReply,
  planRequest,
  splitScope,
} from '../../../../src/net/replication/plan.ts'
import type { Edges, PeerLog } from '../../../../src/net/replica.ts'
import { newPeer } from '../../../support/fake-replica.ts'

const ADDRESS = parseAddress('/ip4/127.0.0.1/tcp/4006')
const RECORD = {
  recordNode: randomBytes(4),
  eventNode: randomBytes(4),
  headerNode: randomBytes(4),
  bodyNode: randomBytes(4),
}

function log(counter = 0, known: Partial<PeerLog> = {}): PeerLog {
  const { key, id } = newPeer()
  const head = counter === 0 ? undefined : cidOf(randomBytes(8))
  return { id, publicKey: key.publicKey, addresses: [], head, counter, ...known }
}

describe('the plan of an exchange', () => {
  it('asks for logs and for records where the edges differ', () => {
    const local = { addresses: 1n, heads: 2n }
    expect(planExchange(local, { addresses: 1n, heads: 2n })).toEqual({ logs: false, records: false })
    expect(planExchange(local, { addresses: 9n, heads: 2n })).toEqual({ logs: true, records: false })
    expect(planExchange(local, { addresses: 1n, heads: 9n })).toEqual({ logs: false, records: true })
  })

  it('compares all chains with a peer that holds them, in whatever order, and the main ones with others', () => {
    const held = { addresses: 1n, heads: 2n, chains: 5n }
    const records = (remote: Edges): boolean => planExchange(held, remote).records
    expect(records({ addresses: 1n, heads: 3n, chains: 5n })).toBe(false)
    expect(records({ addresses: 1n, heads: 2n, chains: 6n })).toBe(true)
    expect(records({ addresses: 1n, heads: 2n })).toBe(false)
    expect(records({ addresses: 1n, heads: 3n })).toBe(true)
  })

  it('asks nothing of a peer that has nothing', () => {
    expect(planExchange({ addresses: 1n, heads: 2n }, { addresses: 0n, heads: 0n })).toEqual({
      logs: false,
      records: false,
    })
  })
})

describe('the plan of a request', () => {
  it('asks after our heads, and names logs out of scope with limit 0', () => {
    const [empty, full, other, stalled] = [log(), log(5), log(2), log(1)]
    const scope = { only: new Set([empty.id, full.id, stalled.id]), limit: 100 }
    const held = { skip: new Set([stalled.id]), records: new Map() }
    const rest = { held: [], located: false }
    expect(planRequest([empty, full, other, stalled], scope, held)).toEqual([
      { logId: empty.id, offset: undefined, counter: 0, limit: 100, ...rest },
      { logId: full.id, offset: full.head, counter: 5, limit: 100, ...rest },
      { logId: other.id, offset: other.head, counter: 2, limit: 0, ...rest },
      { logId: stalled.id, offset: stalled.head, counter: 1, limit: 0, ...rest },
    ])
  })

  it('names what is held of other chains, and how far back where that is to be found out', () => {
    const [forked, other] = [log(5), log(5)]
    const records = new Map([[forked.id, other.head === undefined ? [] : [other.head]]])
    const scope = { only: new Set([forked.id]), limit: 10, locate: true }
    expect(planRequest([forked, other], scope, { skip: new Set(), records })).toMatchObject([
      { held: records.get(forked.id), located: true },
      { held: [], located: false, limit: 0 },
    ])
  })

  it('comes down to single logs and then single records when replies are too large', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 10_000 }), (count, limit) => {
        const logs = Array.from({ length: count }, () => log().id)
        const asked = new Map<LogId, number>()
        let steps = 0
        const scopes = [{ limit }]
        for (let scope = scopes.pop(); scope !== undefined; scope = scopes.pop()) {
          const smaller = splitScope(scope, logs)
          scopes.push(...smaller)
          if (smaller.length > 0) continue
          const only: ReadonlySet<LogId> = 'only' in scope ? (scope.only as ReadonlySet<LogId>) : new Set(logs)
          for (const id of only) asked.set(id, scope.limit)
          steps++
        }
        expect(steps).toBe(count)
        expect([...asked]).toEqual(expect.arrayContaining(logs.map((id) => [id, 1])))
      }),
      { numRuns: 30 },
    )
  })
})

describe('the plan for a reply', () => {
  it('adds logs that are new or have new addresses, and takes the records of those that are known then', () => {
    const known = log(3)
    const fresh = log(2)
    const keyless = log(2, { publicKey: undefined })
    const reply = {
      unreadable: 0,
      logs: [known, fresh, keyless].map((each) => ({ logId: each.id, records: [RECORD], log: each })),
    }
    const plan = planReply([known], reply)
    expect(plan.logs).toEqual([fresh])
    expect(plan.runs.map(({ logId }) => logId)).toEqual([known.id, fresh.id])
  })

  it('passes over entries without records', () => {
    const known = log(3)
    expect(
      planReply([known], { unreadable: 0, logs: [{ logId: known.id, records: [], log: undefined }] }).runs,
    ).toEqual([])
  })

  it('takes every chain, with what vouches for it, and sees which it must ask for in another way', () => {
    const [known, other] = [log(3), log(5)]
    const [chain, alone] = [log(4), log(1)]
    if (chain.head === undefined || alone.head === undefined) throw new Error('the logs have heads')
    const attestation = new Uint8Array(64)
    const sent = { head: chain.head, counter: 4, attestation, records: [RECORD] }
    const chains = [sent, { head: chain.head, counter: 4, records: [] }, { head: alone.head, counter: 1, records: [] }]
    const reply = { unreadable: 0, logs: [{ logId: known.id, records: [], log: known, chains }] }
    expect(planReply([known, other], reply)).toMatchObject({
      runs: [{ logId: known.id, records: [RECORD], attestation: { head: chain.head, signature: attestation } }],
      parted: [{ logId: known.id, head: chain.head }],
    })
  })

  it('sees an attestation of the head that is held', () => {
    const known = log(3)
    const told = { ...known, attestation: new Uint8Array(64) }
    expect(freshLogs([known], [told])).toEqual([told])
    expect(freshLogs([told], [told])).toEqual([])
    expect(freshLogs([known], [{ ...told, head: log(2).head }])).toEqual([])
  })

  it('sees an address that is new', () => {
    const known = log()
    expect(freshLogs([known], [known])).toEqual([])
    expect(freshLogs([known], [{ ...known, addresses: [ADDRESS] }])).toHaveLength(1)
    expect(freshLogs([{ ...known, addresses: [ADDRESS] }], [known])).toEqual([])
  })
})

describe('the plan for a gap', () => {
  const far = log(500)
  const run = { logId: far.id, records: [RECORD], head: far.head, counter: 500, attestation: undefined }

  it('asks for all records that are missing if fewer were asked for', () => {
    const scope = planGap(run, { stored: 0, counter: 20, gap: true }, { limit: 100 })
    expect(scope).toEqual({ only: new Set([far.id]), limit: 480 })
  })

  it('does not ask for all again when that was too large', () => {
    const [smaller] = splitScope({ limit: 100 }, [far.id])
    if (smaller === undefined) throw new Error('it can be made smaller')
    expect(planGap(run, { stored: 0, counter: 20, gap: true }, smaller)).toBeUndefined()
  })

  it('gives up if all were asked for, or the peer does not say how many there are', () => {
    expect(planGap(run, { stored: 0, counter: 20, gap: true }, { limit: 480 })).toBeUndefined()
    const single = { only: new Set([far.id]), limit: 100 }
    expect(planGap(run, { stored: 0, counter: 20, gap: true }, single)).toBeUndefined()
    expect(planGap({ ...run, counter: 0 }, { stored: 0, counter: 20, gap: true }, { limit: 1 })).toBeUndefined()
  })
})
