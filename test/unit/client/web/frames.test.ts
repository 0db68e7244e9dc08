import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, utf8 } from '../../../../src/core/bytes.ts'
import { FrameReader, frameOf } from '../../../../src/client/web/frames.ts'

const trailersFrame = (text: string): Uint8Array => {
  const frame = frameOf(utf8(text))
  frame[0] = 0x80
  return frame
}

describe('the frames of a response', () => {
  it('are the messages that were sent, however they are cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 })
    fc.assert(
      fc.property(messages, fc.array(fc.nat(60), { maxLength: 30 }), (sent, cuts) => {
        const bytes = concatBytes(...sent.map(frameOf), trailersFrame('grpc-status: 0\r\n'))
        const reader = new FrameReader()
        const received: Uint8Array[] = []
        let offset = 0
        for (const cut of [...cuts, bytes.length]) {
          received.push(...reader.push(bytes.subarray(offset, offset + cut)))
          offset += cut
        }
        expect(received).toEqual(sent)
        expect(reader.outcome?.status).toBe(0)
      }),
    )
  })

  it('end with how the call went', () => {
    const reader = new FrameReader()
    const lines = ['grpc-status:5', 'Grpc-Message: db%20%C3%BC', 'threads-error-code: DB_NOT_FOUND', 'no line', '']
    reader.push(trailersFrame(lines.join('\r\n')))
    expect(reader.outcome).toEqual({ status: 5, text: 'db ü', code: 'DB_NOT_FOUND', hint: undefined })
  })

  it('show a text as it came if it is not encoded, and an unreadable status as unknown', () => {
    const reader = new FrameReader()
    reader.push(trailersFrame('grpc-status: x\r\ngrpc-message: 100%\r\n'))
    expect(reader.outcome).toMatchObject({ status: 2, text: '100%' })
  })

  it('have no outcome if they were broken off', () => {
    const reader = new FrameReader()
    expect(reader.outcome).toBeUndefined()
    reader.push(trailersFrame('grpc-status: 0\r\n'))
    reader.push(Uint8Array.of(0, 0, 0))
    expect(reader.outcome).toBeUndefined()
  })

  it('are refused if they are too large, as soon as that is known, or none of gRPC-Web', () => {
    const tooLarge = Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff)
    expect(() => new FrameReader().push(tooLarge)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    const html = utf8('<!doctype html>')
    expect(() => new FrameReader().push(html)).toThrow(expect.objectContaining({ code: 'BAD_MESSAGE' }))
  })
})
