/** Peers that hand out blocks by CID, as go-threads hosts do. */
import type { CID } from 'multiformats/cid'
import { bytesKey, concatBytes } from '../../src/core/bytes.ts'
import { cidOf } from '../../src/core/cbor.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import type { PeerId } from '../../src/core/peer-id.ts'
import { encodeVarint, readVarint } from '../../src/core/varint.ts'
import type { PeerHost } from '../../src/net/host/libp2p-host.ts'
import { BLOCK_PROTOCOL, type BlockSource } from '../../src/net/protocol/block-source.ts'
import { Message } from '../../src/net/protocol/pb/bitswap.ts'
import type { FakeReplica } from './fake-replica.ts'

export type Wants = { readonly cid: Uint8Array; readonly key: string }[]

/** Handles bitswap on a host that is not started. `onWants` is told of every wantlist. */
export function serveBlocks(host: PeerHost, onWants: (wants: Wants, caller: PeerId) => void): void {
  host.handle(BLOCK_PROTOCOL, (stream, caller) => {
    let held = new Uint8Array()
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => {
      held = new Uint8Array(concatBytes(held, chunk))
      for (;;) {
        const length = readVarint(held, 0)
        if (typeof length === 'string' || held.length < length.end + Number(length.value)) return
        const end = length.end + Number(length.value)
        const { wantlist } = Message.decode(held.slice(length.end, end))
        held = held.slice(end)
        const cids = (wantlist?.entries ?? []).flatMap(({ block }) => block ?? [])
        onWants(
          cids.map((cid) => ({ cid, key: bytesKey(cid) })),
          caller,
        )
      }
    })
  })
}

/** Sends a message on a stream of its own, as go-threads does with every one. */
export async function sendMessage(host: PeerHost, peer: PeerId, message: Message): Promise<void> {
  const bytes = Message.encode(message).finish()
  const stream = await host.dial(peer, BLOCK_PROTOCOL)
  stream.on('error', () => {}).resume()
  stream.end(concatBytes(encodeVarint(bytes.length), bytes))
}

/** Blocks of the records that replicas hold, without a network in between. */
export function blocksOf(replicas: ReadonlyMap<PeerId, FakeReplica>): BlockSource & { fetched: number } {
  const source = {
    fetched: 0,
    open: async (peer: PeerId) => ({
      fetch: async (cids: readonly CID[]) => {
        source.fetched += cids.length
        const blocks = allBlocks(replicas.get(peer))
        return cids.map((cid) => {
          const block = blocks.get(bytesKey(cid.bytes))
          if (block === undefined) throw new ThreadsError('RECORD_NOT_FOUND', 'the peer lacks a block')
          return block
        })
      },
      close: () => {},
    }),
  }
  return source
}

function allBlocks(replica: FakeReplica | undefined): Map<string, Uint8Array> {
  const logs = [...(replica?.threads.values() ?? [])].flatMap((thread) => [...thread.logs.values()])
  const blocks = logs.flatMap(({ records }) =>
    records.flatMap((record) => Object.values<Uint8Array>({ ...record.blocks })),
  )
  return new Map(blocks.map((block) => [bytesKey(cidOf(block).bytes), block]))
}
