/** Blocks from a peer that answers as go-threads does, over loopback. */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { bytesKey } from '../../../../src/core/bytes.ts'
import { cidOf, encode } from '../../../../src/core/cbor.ts'
import { encodeVarint } from '../../../../src/core/varint.ts'
import type { PeerId } from '../../../../src/core/peer-id.ts'
import type { PeerHost } from '../../../../src/net/host/libp2p-host.ts'
import { BLOCK_PROTOCOL, type BlockSource, createBlockSource } from '../../../../src/net/protocol/block-source.ts'
import { sendMessage, serveBlocks, type Wants } from '../../../support/block-peer.ts'
import { knows, newHost } from '../../../support/peer-host.ts'

const running: { close(): unknown }[] = []

afterEach(async () => {
  vi.restoreAllMocks()
  for (const each of running.splice(0).toReversed()) await each.close()
})

const block = (bytes = 40): Uint8Array => encode(randomBytes(bytes))
const DONT_HAVE = 1

async function start(onWants: (peer: PeerHost, wants: Wants, caller: PeerId) => unknown) {
  const [host, peer] = [await newHost(), await newHost()]
  const source = createBlockSource(host)
  serveBlocks(peer, (wants, caller) => onWants(peer, wants, caller))
  for (const each of [host, peer]) {
    await each.start()
    running.push(each)
  }
  knows(host, peer)
  return { host, peer, source }
}

async function open(source: BlockSource, peer: PeerHost, options: { signal?: AbortSignal } = {}) {
  const session = await source.open(peer.id, options)
  running.push(session)
  return session
}

/** Answers with all blocks wanted, in a message each, last first. */
function supply(blocks: readonly Uint8Array[]) {
  const held = new Map(blocks.map((data) => [bytesKey(cidOf(data).bytes), data]))
  return (peer: PeerHost, wants: Wants, caller: PeerId): void => {
    for (const { key } of wants.toReversed()) {
      const data = held.get(key)
      if (data !== undefined) void sendMessage(peer, caller, { payload: [{ prefix: new Uint8Array(4), data }] })
    }
  }
}

describe('a source of blocks', () => {
  it('answers in the order asked for, whatever the order in which they come', async () => {
    const blocks = Array.from({ length: 20 }, () => block())
    const { source, peer } = await start(supply(blocks))
    const session = await open(source, peer)
    expect(await session.fetch(blocks.map(cidOf))).toEqual(blocks)
  })

  it('takes many answers, each on a stream of its own', async () => {
    const blocks = Array.from({ length: 100 }, () => block())
    const { source, peer } = await start(supply(blocks))
    const session = await open(source, peer)
    for (const each of blocks) expect(await session.fetch([cidOf(each)])).toEqual([each])
  })

  it('leaves a peer that is too slow to be of use', async () => {
    const blocks = Array.from({ length: 3 }, () => block())
    const { source, peer } = await start(supply(blocks))
    const session = await open(source, peer)
    const cids = blocks.map(cidOf)
    const opened = performance.now()
    vi.spyOn(performance, 'now').mockImplementation(() => opened + 50_000)
    expect(await session.fetch(cids)).toEqual(blocks)
    vi.mocked(performance.now).mockImplementation(() => opened + 61_000)
    expect(await session.fetch(cids)).toEqual(blocks)
    vi.mocked(performance.now).mockImplementation(() => opened + 65_000)
    await expect(session.fetch(cids)).rejects.toThrow('it is too slow')
  })

  it('fetches from a limited number of peers at once', async () => {
    const host = await newHost()
    const source = createBlockSource(host)
    const peers = await Promise.all(Array.from({ length: 9 }, () => newHost()))
    for (const each of peers) serveBlocks(each, () => {})
    for (const each of [host, ...peers]) {
      await each.start()
      running.push(each)
    }
    for (const each of peers) knows(host, each)
    const [last = host, ...others] = peers
    const sessions = await Promise.all(others.map((each) => source.open(each.id)))
    await expect(source.open(last.id)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    sessions[0]?.close()
    await expect
      .poll(() =>
        source.open(last.id).then(
          (session) => running.push(session),
          () => 0,
        ),
      )
      .toBeGreaterThan(0)
  })

  it('takes blocks of a few MiB, and several in one message', async () => {
    const blocks = [block(3.4 * 1024 * 1024), block()]
    const { source, peer } = await start((from, _, caller) => {
      void sendMessage(from, caller, { payload: blocks.map((data) => ({ data })) })
    })
    const session = await open(source, peer)
    expect((await session.fetch(blocks.map(cidOf))).map((each) => each.length)).toEqual(
      blocks.map((each) => each.length),
    )
  })

  it('takes no block but those asked for', async () => {
    const [wanted, other] = [block(), block()]
    const { source, peer } = await start((from, wants, caller) => {
      const forged = { data: other, prefix: wants[0]?.cid.subarray(0, 4) }
      void sendMessage(from, caller, { payload: [forged, { data: wanted }] })
    })
    const session = await open(source, peer)
    expect(await session.fetch([cidOf(wanted)])).toEqual([wanted])
  })

  it('says when the peer lacks one', async () => {
    const held = block()
    const { source, peer } = await start((from, wants, caller) => {
      const blockPresences = wants.slice(1).map(({ cid }) => ({ cid, type: DONT_HAVE }))
      void sendMessage(from, caller, { payload: [{ data: held }], blockPresences })
    })
    const session = await open(source, peer)
    const fetched = session.fetch([cidOf(held), cidOf(block())])
    await expect(fetched).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' })
    expect(await session.fetch([cidOf(held)])).toEqual([held])
  })

  it('asks again for what got lost', async () => {
    const wanted = block()
    let asked = 0
    const { source, peer } = await start((from, wants, caller) => {
      if (++asked > 1) supply([wanted])(from, wants, caller)
    })
    const session = await open(source, peer)
    expect(await session.fetch([cidOf(wanted)])).toEqual([wanted])
  })

  it('reads no further when a message is larger than any may be', async () => {
    const wanted = block()
    const { source, peer } = await start(async (from, wants, caller) => {
      const stream = await from.dial(caller, BLOCK_PROTOCOL)
      stream.on('error', () => {}).once('close', () => supply([wanted])(from, wants, caller))
      stream.write(encodeVarint(4 * 1024 * 1024 + 1))
    })
    const session = await open(source, peer)
    expect(await session.fetch([cidOf(wanted)])).toEqual([wanted])
  })

  it('ends with the connection, when told to, and when it is closed', async () => {
    const { source, peer } = await start(() => {})
    const stop = new AbortController()
    const [first, second, third] = [await open(source, peer), await open(source, peer, stop), await open(source, peer)]
    const ends = [first, second, third].map((session) => session.fetch([cidOf(block())]))
    const outcomes = Promise.allSettled(ends)
    first.close()
    stop.abort()
    await peer.close()
    expect(await outcomes).toMatchObject([
      { reason: { code: 'CLOSED' } },
      { reason: { code: 'CLOSED' } },
      { reason: { code: 'PEER_UNREACHABLE' } },
    ])
    await expect(third.fetch([cidOf(block())])).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
  })

  it('does not read what peers send unasked', async () => {
    const { host, peer } = await start(() => {})
    knows(peer, host)
    const stream = await peer.dial(host.id, BLOCK_PROTOCOL)
    const closed = new Promise((resolve) =>
      stream
        .on('error', () => {})
        .resume()
        .once('end', resolve),
    )
    stream.write(encodeVarint(1000))
    await closed
  })

  it('is none where the peer speaks no bitswap', async () => {
    const { source, host } = await start(() => {})
    const other = await newHost()
    await other.start()
    running.push(other)
    knows(host, other)
    await expect(source.open(other.id)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
  })
})
