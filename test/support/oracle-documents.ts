/** What the oracle makes of the records that a host holds. */
import { decodeEvents } from '../../src/core/events.ts'
import { openBody } from '../../src/core/event-block.ts'
import { decodePublicKey } from '../../src/core/keys.ts'
import { textOfUtf8 } from '../../src/core/bytes.ts'
import { identityOf } from '../../src/core/identity.ts'
import { peerIdToBytes } from '../../src/core/peer-id.ts'
import { openRecord } from '../../src/core/record.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import type { LogInfo, Net } from '../../src/net/index.ts'
import { oracle, type PlainRecord } from './fold-oracle.ts'

/** Documents by `collection/id`, as JSON values. All records of the thread must be well formed, and no validator set. */
export async function oracleDocuments(net: Net, threadId: ThreadId): Promise<Map<string, unknown>> {
  const { logs } = await net.getThread(threadId)
  const records = (await Promise.all(logs.map((log) => plainRecords(net, threadId, log)))).flat()
  const { documents } = oracle(records, new Map(), () => undefined)
  return new Map([...documents].map(([key, { text }]) => [key, JSON.parse(text)]))
}

async function plainRecords(net: Net, threadId: ThreadId, { id, head }: LogInfo): Promise<PlainRecord[]> {
  const { key } = await net.getThread(threadId)
  if (key.read === undefined) throw new Error('the host cannot read the thread')
  const records: PlainRecord[] = []
  for (let { cid } = head; cid !== undefined; ) {
    const { blocks, counter } = await net.getRecord(threadId, cid)
    const { block, prev, pubKey } = openRecord(blocks.recordNode, key.service)
    const events = decodeEvents(openBody(blocks, key.read))
    records.push({
      log: peerIdToBytes(id),
      counter,
      digest: block.multihash.digest,
      writer: identityOf(decodePublicKey(pubKey)),
      body: events.map(({ type, collection, id: of, timestamp, patch }) => {
        if (type === 'unknown') throw new Error('an event of no known type')
        return { type, collection, id: of, timestamp, ...(patch === undefined ? {} : { patch: textOfUtf8(patch) }) }
      }),
    })
    cid = prev
  }
  return records
}
