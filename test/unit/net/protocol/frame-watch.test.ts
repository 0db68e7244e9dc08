import { expect, it } from 'vitest'
import { FrameWatch } from '../../../../src/net/protocol/frame-watch.ts'

function frame(length: number, { type = 0, flags = 0, call = 1 } = {}): Buffer {
  const bytes = Buffer.alloc(9 + length)
  bytes.writeUIntBE(length, 0, 3)
  bytes.writeUInt8(type, 3)
  bytes.writeUInt8(flags, 4)
  bytes.writeUInt32BE(call, 5)
  return bytes
}

/** How many of the frames may pass. */
function passed(frames: readonly Buffer[], watch: FrameWatch = new FrameWatch({ preface: false })): number {
  const refused = frames.findIndex((bytes) => !watch.take(bytes))
  return refused < 0 ? frames.length : refused
}

function many(count: number, made: () => Buffer): Buffer[] {
  return Array.from({ length: count }, made)
}

it('a message in tiny frames is stopped after some', () => {
  expect(passed(many(1_000, () => frame(1)))).toBe(261)
})

it('a message in frames of some size passes, however long it is', () => {
  expect(passed(many(65_536, () => frame(64)))).toBe(65_536)
})

it('calls are counted each for itself, and anew once they are over', () => {
  const watch = new FrameWatch({ preface: false })
  for (let call = 1; call < 4_000; call += 2) {
    const last = call % 4 === 1 ? { type: 3 } : { flags: 1 }
    expect(passed([...many(200, () => frame(1, { call })), frame(4, { call, ...last })], watch)).toBe(201)
  }
})

it('other frames do not count', () => {
  expect(passed(many(1_000, () => frame(4, { type: 8 })))).toBe(1_000)
})

it('frames are followed however they are cut, after the preface of a client', () => {
  const bytes = Buffer.concat([Buffer.alloc(24, 0xff), ...many(300, () => frame(1))])
  const watch = new FrameWatch({ preface: true })
  const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
  expect(passed(single, watch)).toBe(24 + 261 * 10 + 8)
})
