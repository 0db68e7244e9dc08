/**
 * A process that floods the daemon at the address given as argument, as peer after peer: forged records, garbage,
 * replies that it does not take, streams. Ends with SIGTERM, and says then what it did.
 */
import { randomBytes } from 'node:crypto'
import { newThreadId, type ThreadId } from '../src/core/thread-id.ts'
import type { Address } from '../src/core/address.ts'
import { parsePeerId } from '../src/core/peer-id.ts'
import type { RecordBlocks } from '../src/core/record.ts'
import { methods } from '../src/net/protocol/methods.ts'
import { newPeer } from '../test/support/fake-replica.ts'
import { framed, HostilePeer, openCall } from '../test/support/hostile-peer.ts'
import { LogMaker, random } from '../test/support/log-maker.ts'

/** What is done by one peer before the next comes. */
const BATCHES = 20
const FORGED_AT_ONCE = 50
const STREAMS_AT_ONCE = 30
const REPLIES_AT_ONCE = 30
const RECORD_BYTES = 300_000
const GARBAGE_BYTES = 100_000

const counts = { peers: 0, 'forged records': 0, streams: 0, 'bytes of garbage': 0, 'replies not taken': 0 }
process.once('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify(counts)}\n`, () => process.exit())
})

const [address = '', id = ''] = (process.argv[2] ?? '').split('/p2p/')
const host = { id: parsePeerId(id), addresses: () => [address as Address] }

for (;;) {
  const peer = await HostilePeer.start(host)
  counts.peers++
  try {
    await flood(peer)
  } catch {
    // It was shut out, or its thread was refused: the next one tries.
  }
  await peer.stop()
}

async function flood(peer: HostilePeer): Promise<void> {
  const { threadId, log } = await keptThread(peer)
  const slow = await peer.session({ settings: { initialWindowSize: 0 } })
  const wanted = { threadId, serviceKey: log.threadKey.service, logs: [] }
  const request = framed(methods.getRecords.request.encode(wanted))
  for (let batch = 0; batch < BATCHES && peer.isConnected; batch++) {
    for (let count = 0; count < REPLIES_AT_ONCE; count++) openCall(slow, 'getRecords').end(request)
    counts['replies not taken'] += REPLIES_AT_ONCE
    await Promise.all([garbage(peer), ...Array.from({ length: FORGED_AT_ONCE }, () => forge(peer, threadId, log))])
  }
}

/** A thread that the daemon keeps, with one large record. */
async function keptThread(peer: HostilePeer): Promise<{ threadId: ThreadId; log: LogMaker }> {
  const log = new LogMaker()
  const threadId = newThreadId('raw', random)
  const pushed = {
    threadId,
    serviceKey: log.threadKey.service,
    readKey: undefined,
    log: log.asPeerLog(peer.id),
  }
  await peer.call('pushLog', methods.pushLog.request.encode(pushed))
  log.records.push(log.make({ body: { filler: randomBytes(RECORD_BYTES) } }))
  for (const record of log.blocks(0)) await push(peer, { threadId, log, record })
  return { threadId, log }
}

function push(peer: HostilePeer, { threadId, log, record }: Forged): Promise<unknown> {
  const request = { threadId, logId: log.id, record, counter: log.records.length }
  return peer.call('pushRecord', methods.pushRecord.request.encode(request))
}

interface Forged {
  readonly threadId: ThreadId
  readonly log: LogMaker
  readonly record: RecordBlocks
}

async function forge(peer: HostilePeer, threadId: ThreadId, log: LogMaker): Promise<void> {
  counts['forged records']++
  await push(peer, { threadId, log, record: log.make({ signer: newPeer().key }).blocks })
}

async function garbage(peer: HostilePeer): Promise<void> {
  const opened = await Promise.allSettled(Array.from({ length: STREAMS_AT_ONCE }, () => peer.stream()))
  for (const result of opened) {
    if (result.status === 'rejected') continue
    counts.streams++
    counts['bytes of garbage'] += GARBAGE_BYTES
    result.value.resume()
    result.value.write(randomBytes(GARBAGE_BYTES))
  }
}
