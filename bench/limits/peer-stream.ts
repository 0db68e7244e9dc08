import { once } from 'node:events'
import { parseAddress } from '../../src/core/address.ts'
import { randomBytes } from '../../src/core/crypto.ts'
import { generateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { createPeerHost, type PeerHost } from '../../src/net/host/libp2p-host.ts'
import { repeated, type Work } from '../measure.ts'
import { cpuOf } from '../processes.ts'

const PROTOCOL = '/bench/1.0.0'
const CHUNK_BYTES = 64 * 1024
const CHUNKS = 64

export interface PeerLimits extends AsyncDisposable {
  /** Through one encrypted stream between two hosts of this process. */
  readonly peerStream: Work
}

export async function peerLimits(): Promise<PeerLimits> {
  const chunk = Buffer.alloc(CHUNK_BYTES)
  const [from, to] = await Promise.all([startHost(), startHost()])
  let received = 0
  let wanted = 0
  let onAll: (() => void) | undefined
  to.handle(PROTOCOL, (stream) => {
    stream.on('data', (data: Buffer) => {
      received += data.length
      if (received === wanted) onAll?.()
    })
  })
  await Promise.all([from.start(), to.start()])
  const stream = await from.dial(to.id, PROTOCOL, { addresses: to.addresses() })
  const send = async (): Promise<void> => {
    wanted += CHUNKS * CHUNK_BYTES
    const all = new Promise<void>((resolve) => {
      onAll = resolve
    })
    for (let count = 0; count < CHUNKS; count++) if (!stream.write(chunk)) await once(stream, 'drain')
    await all
  }
  return {
    peerStream: repeated('chunks of 64 KiB through one libp2p stream', { cpu: cpuOf(), each: CHUNKS }, send),
    async [Symbol.asyncDispose]() {
      await Promise.all([from.close(), to.close()])
    },
  }
}

function startHost(): Promise<PeerHost> {
  return createPeerHost({
    privateKey: generateKey(randomBytes),
    listen: [parseAddress('/ip4/127.0.0.1/tcp/0')],
    announce: [],
    maxConnections: 10,
    logger: silentLogger,
  })
}
