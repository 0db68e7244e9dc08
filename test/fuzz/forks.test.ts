/**
 * What the owners of logs sign twice, and what others forge, comes to several hosts in any order. Once everything that a
 * log's key vouches for was given to one of them, and they have pulled from each other until nobody wants more, all show
 * the documents of the oracle.
 */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { encode } from '../../src/core/cbor.ts'
import { sealEvent } from '../../src/core/event-block.ts'
import { identityOf } from '../../src/core/identity.ts'
import { generateKey, type PrivateKey } from '../../src/core/keys.ts'
import { peerIdToBytes } from '../../src/core/peer-id.ts'
import { sealRecord } from '../../src/core/record.ts'
import { newThreadId, type ThreadId } from '../../src/core/thread-id.ts'
import { oracle, type PlainRecord } from '../support/fold-oracle.ts'
import { bodies, storyJudge } from '../support/fold-stories.ts'
import { bodyOf } from '../support/fold-world.ts'
import { documentsOf, type ForkHost, openForkHost, pull, refold, wantsRecords } from '../support/fork-hosts.ts'
import { LogMaker, type MadeRecord, random } from '../support/log-maker.ts'

const HOSTS = 3
const LOGS = 2
const MAX_ROUNDS = 12

interface NodePlan {
  readonly log: number
  /** Which of the records made before it follows; modulo their number and one, for none. */
  readonly parent: number
  /** Another envelope of that record instead of one that follows it. */
  readonly isEnvelope: boolean
  readonly writer: number
  readonly body: PlainRecord['body']
}

type Step =
  | { readonly kind: 'pull'; readonly host: number; readonly from: number }
  | { readonly kind: 'give'; readonly host: number; readonly node: number; readonly before: number }

const nodePlan: fc.Arbitrary<NodePlan> = fc.record({
  log: fc.nat(LOGS - 1),
  // The later ones more often, so that chains grow long.
  parent: fc.oneof(fc.nat(30), fc.constant(-1), fc.constant(-1), fc.constant(-1)),
  isEnvelope: fc.integer({ min: 0, max: 5 }).map((number) => number === 0),
  writer: fc.nat(1),
  body: bodies,
})
const host = fc.nat(HOSTS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('give'), host, node: fc.nat(30), before: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pull'), host, from: host }) },
)
const story = fc.record({
  nodes: fc.array(nodePlan, { minLength: 1, maxLength: 16, size: 'max' }),
  steps: fc.array(step, { maxLength: 24, size: 'max' }),
  last: fc.array(host, { minLength: 16, maxLength: 16 }),
})
type Story = typeof story extends fc.Arbitrary<infer T> ? T : never

interface Node extends MadeRecord {
  readonly maker: LogMaker
  readonly parent: Node | undefined
  readonly counter: number
  readonly author: PrivateKey
  readonly body: PlainRecord['body']
  /** Records that may be taken for each other: with other envelopes, or all first ones of a log. */
  readonly place: string
  readonly children: Node[]
}

/** The records of all logs; each follows one of its log, or none. */
function makeNodes(plans: readonly NodePlan[], makers: readonly LogMaker[]): Node[] {
  const authors = [generateKey(random), generateKey(random)]
  const nodes: Node[] = []
  for (const [index, plan] of plans.entries()) {
    const maker = makers[plan.log] as LogMaker
    const ofLog = nodes.filter((node) => node.maker === maker)
    const named = plan.parent < 0 ? ofLog.at(-1) : ofLog[plan.parent % (ofLog.length + 1)]
    const author = authors[plan.writer] as PrivateKey
    nodes.push(
      plan.isEnvelope && named !== undefined ? envelope(named, author) : record(maker, named, { plan, author, index }),
    )
    const made = nodes.at(-1)
    if (made !== undefined) made.parent?.children.push(made)
  }
  return nodes
}

function envelope(node: Node, author: PrivateKey): Node {
  return { ...node, ...node.maker.envelope(node, author), author, children: [] }
}

function record(
  maker: LogMaker,
  parent: Node | undefined,
  { plan, author, index }: { plan: NodePlan; author: PrivateKey; index: number },
): Node {
  const { service, read } = maker.threadKey
  const isReadable = plan.body !== 'unreadable'
  const { eventCid, ...event } = sealEvent(bodyOf(plan) ?? encode(index), isReadable ? read : random(32), random)
  const { recordNode, cid } = sealRecord({
    event: eventCid,
    ...(parent === undefined ? {} : { prev: parent.cid }),
    logKey: maker.key,
    author: author.publicKey,
    serviceKey: service,
    random,
  })
  const counter = (parent?.counter ?? 0) + 1
  const place = parent === undefined ? maker.id : `${parent.cid.toString()} ${eventCid.toString()}`
  return { maker, parent, counter, author, body: plan.body, cid, blocks: { recordNode, ...event }, place, children: [] }
}

/** The records before it and itself, oldest first. */
function pathTo(node: Node): Node[] {
  const path: Node[] = []
  for (let at: Node | undefined = node; at !== undefined; at = at.parent) path.unshift(at)
  return path
}

async function give(
  { core }: ForkHost,
  { id, node, before }: { id: ThreadId; node: Node; before: number },
  attested = false,
): Promise<void> {
  const records = pathTo(node).slice(-1 - before)
  const { maker, counter } = node
  const run = { threadId: id, logId: maker.id, from: maker.id, records: records.map(({ blocks }) => blocks) }
  await core.replica.receive({ ...run, ...(attested ? { attestation: maker.attest(id, counter, node) } : {}) })
}

/** Gives every chain to a host. Where several records could be one and none is followed, the log's key says which it is. */
async function settle(nodes: readonly Node[], each: (node: Node, attested: boolean) => Promise<void>): Promise<Node[]> {
  const kept: Node[] = []
  for (const alike of Map.groupBy(nodes, ({ place }) => place).values()) {
    const followed = alike.filter(({ children }) => children.length > 0)
    const [first] = alike
    if (first === undefined) continue
    const isClear = followed.length > 0 || alike.length === 1
    kept.push(...(isClear ? [...followed, ...(followed.length > 0 ? [] : alike)] : [first]))
    if (followed.length === 0) await each(first, !isClear)
  }
  return kept
}

async function untilRest(hosts: readonly ForkHost[], id: ThreadId): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    let wanted = false
    for (const one of hosts) {
      for (const other of hosts) {
        if (one === other || !wantsRecords(one, other, id)) continue
        wanted = true
        await pull(one, other, id)
      }
    }
    if (!wanted) return
  }
  throw new Error('the hosts do not come to rest')
}

function plainRecord({ maker, counter, cid, parent, author, body }: Node): PlainRecord {
  return {
    log: peerIdToBytes(maker.id),
    counter,
    digest: cid.multihash.digest,
    name: cid.toString(),
    previous: parent?.cid.toString() ?? '',
    writer: identityOf(author.publicKey),
    body,
  }
}

async function check({ nodes: plans, steps, last }: Story): Promise<void> {
  const first = new LogMaker()
  const makers = [first, new LogMaker(first.threadKey)]
  const id = newThreadId('raw', random)
  const hosts: ForkHost[] = []
  for (let count = 0; count < HOSTS; count++) {
    hosts.push(await openForkHost({ id, key: first.threadKey }, storyJudge))
  }
  for (const { core } of hosts) {
    await core.replica.addLogs(
      id,
      makers.map((maker) => maker.asPeerLog(maker.id)),
      first.id,
    )
  }
  const nodes = makeNodes(plans, makers)
  for (const each of steps) {
    const at = hosts[each.host] as ForkHost
    const node = each.kind === 'give' ? nodes[each.node % nodes.length] : undefined
    if (each.kind === 'pull' && each.host !== each.from) await pull(at, hosts[each.from] as ForkHost, id)
    if (each.kind === 'give' && node !== undefined) await give(at, { id, node, before: each.before })
  }
  let given = 0
  const kept = await settle(nodes, async (node, attested) => {
    const at = hosts[last[given++ % last.length] ?? 0] as ForkHost
    await give(at, { id, node, before: node.counter }, attested)
  })
  await untilRest(hosts, id)
  const validators = new Map([['Dog', [{ since: 0n, validator: 'lax' }]]])
  const expected = oracle(kept.map(plainRecord), validators, storyJudge).documents
  for (const each of hosts) {
    expect(await documentsOf(each, id)).toEqual(expected)
    expect(await documentsOf(each, id, await refold(each, id, storyJudge))).toEqual(expected)
  }
  for (const { core } of hosts) await core.store.close()
}

test('hosts agree, whatever owners sign twice and others forge, and come to rest', async () => {
  await fc.assert(fc.asyncProperty(story, check), { numRuns: 100, endOnFailure: true })
}, 240_000)
