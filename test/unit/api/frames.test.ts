import { status } from '@grpc/grpc-js'
import fc from 'fast-check'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { RpcError } from '../../../src/api/errors.ts'
import { FrameReader, headersFrame, messageFrame, statusTrailers } from '../../../src/api/frames.ts'
import { ThreadsError } from '../../../src/core/errors.ts'

const MAX = 1024

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heldBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('reading frames', () => {
  it('gives the messages that were written, however the bytes are cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 })
    const cuts = fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 })
    fc.assert(
      fc.property(messages, cuts, (written, sizes) => {
        const bytes = Buffer.concat(written.map(messageFrame))
        const reader = new FrameReader(MAX)
        const read: Uint8Array[] = []
        for (let offset = 0, cut = 0; offset < bytes.length; cut++) {
          const end = offset + (sizes[cut % sizes.length] ?? 1)
          read.push(...reader.push(bytes.subarray(offset, end)))
          offset = end
        }
        reader.end()
        expect(read.map((message) => Buffer.from(message))).toEqual(written.map((message) => Buffer.from(message)))
      }),
    )
  })

  it('refuses a message over the limit as soon as its length is known', () => {
    const prefix = messageFrame(new Uint8Array(MAX + 1)).subarray(0, 5)
    expect(() => new FrameReader(MAX).push(prefix)).toThrow('grpc: received message larger than max (1025 vs. 1024)')
    expect(new FrameReader(MAX).push(messageFrame(new Uint8Array(MAX)))).toHaveLength(1)
  })

  it('refuses compressed messages', () => {
    const frame = messageFrame(new Uint8Array(3))
    frame[0] = 1
    expect(() => new FrameReader(MAX).push(frame)).toThrow('compressed messages are not supported')
  })

  it('takes little more than its bytes for a message in tiny pieces, and nothing for a claimed length', () => {
    const claimed = Array.from({ length: 200 }, () => new FrameReader(1024 ** 3))
    const prefix = Uint8Array.of(0, 0x3f, 0xff, 0xff, 0xff)
    const before = heldBytes()
    for (const reader of claimed) reader.push(prefix)
    const pieces = 100_000
    for (let count = 0; count < pieces; count++) claimed[0]?.push(Uint8Array.of(1))
    // Empty ones come out of base64.
    for (let count = 0; count < pieces; count++) claimed[0]?.push(new Uint8Array(0))
    expect(heldBytes() - before).toBeLessThan(20 * pieces)
    expect(() => claimed[0]?.end()).toThrow('unexpected EOF')
  })

  it('refuses to end inside a message', () => {
    const reader = new FrameReader(MAX)
    reader.push(messageFrame(new Uint8Array(3)).subarray(0, 7))
    expect(() => reader.end()).toThrow('unexpected EOF')
  })
})

describe('trailers', () => {
  it('are lines of lower-case names, with the text percent-encoded', () => {
    const failure = new RpcError(status.NOT_FOUND, 'kein Ä, 100 %\nda', new ThreadsError('DB_NOT_FOUND', 'x'))
    const frame = Buffer.from(headersFrame(statusTrailers(failure)))
    expect(frame[0]).toBe(0x80)
    expect(frame.readUInt32BE(1)).toBe(frame.length - 5)
    expect(frame.subarray(5).toString()).toBe(
      'grpc-status: 5\r\ngrpc-message: kein%20%C3%84,%20100%20%25%0Ada\r\nthreads-error-code: DB_NOT_FOUND\r\n',
    )
  })

  it('of a call that went well are the status alone', () => {
    expect(statusTrailers(undefined)).toEqual({ 'grpc-status': '0' })
  })
})
