import { Duplex } from 'node:stream'
import { expect, it } from 'vitest'
import type { PeerId } from '../../../../src/core/peer-id.ts'
import { PeerSession } from '../../../../src/net/protocol/session.ts'

const PEER = 'peer' as PeerId

/** A stream over which writes take until the test lets them end. */
class SlowStream extends Duplex {
  readonly writes: (() => void)[] = []

  override _read(): void {}

  #released = false

  override _write(_chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    if (this.#released) callback()
    else this.writes.push(callback)
  }

  release(): void {
    this.#released = true
    for (const callback of this.writes.splice(0)) callback()
  }

  setNoDelay(): void {}
}

it('a session that is destroyed in the middle of a write ends its calls once the write is done', async () => {
  const stream = new SlowStream()
  const session = new PeerSession(stream, PEER)
  const call = session.call('/service/Method', new Uint8Array(10), { timeoutMs: 10_000 })
  await expect.poll(() => stream.writes.length).toBeGreaterThan(0)
  session.destroy()
  stream.release()
  await expect(call).rejects.toThrow('the connection ended')
  await expect.poll(() => session.usable).toBe(false)
})
