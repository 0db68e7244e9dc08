import { once } from 'node:events'
import { randomBytes } from '../src/core/crypto.ts'
import { generateKey } from '../src/core/keys.ts'
import { silentLogger } from '../src/core/logger.ts'
import { parseAddress } from '../src/core/address.ts'
import { createPeerHost, type PeerHost } from '../src/net/host/libp2p-host.ts'

const PROTOCOL = '/bench/1.0.0'
const CHUNK = Buffer.alloc(64 * 1024)
const CHUNKS = 1_000
const MIB = 1024 * 1024

/** MiB a second through one encrypted stream between two hosts of this process. */
export async function streamLimit(): Promise<number> {
  const [from, to] = await Promise.all([startHost(), startHost()])
  try {
    const received = new Promise<void>((resolve) => {
      to.handle(PROTOCOL, (stream) => {
        let bytes = 0
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes === CHUNKS * CHUNK.length) resolve()
        })
      })
    })
    await Promise.all([from.start(), to.start()])
    const stream = await from.dial(to.id, PROTOCOL, { addresses: to.addresses() })
    const started = performance.now()
    for (let count = 0; count < CHUNKS; count++) if (!stream.write(CHUNK)) await once(stream, 'drain')
    await received
    return (CHUNKS * CHUNK.length) / MIB / ((performance.now() - started) / 1000)
  } finally {
    await Promise.all([from.close(), to.close()])
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
