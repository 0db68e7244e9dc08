import { status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { Cancellation } from '../../../src/api/cancellation.ts'
import { FakeClock } from '../../support/fake-clock.ts'

describe('a deadline', () => {
  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3_000],
    ['250m', 250],
    ['4000u', 4],
    ['5000000n', 5],
  ])('of %s passes after %i ms', (header, ms) => {
    const clock = new FakeClock()
    const cancellation = new Cancellation()
    cancellation.startDeadline(header, clock)
    clock.advance(ms - 1)
    expect(cancellation.signal.aborted).toBe(false)
    clock.advance(1)
    expect(cancellation.signal.reason).toMatchObject({ code: status.DEADLINE_EXCEEDED })
  })

  it.each([undefined, '', '5', 'S', '5x', '-1S', '123456789S', '99999999H'])('of %j is none', (header) => {
    const clock = new FakeClock()
    const cancellation = new Cancellation()
    cancellation.startDeadline(header, clock)
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not outlive its call', () => {
    const clock = new FakeClock()
    const cancellation = new Cancellation()
    cancellation.startDeadline('1S', clock)
    cancellation.release()
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('a cancellation', () => {
  it('tells its reason as a status, and the first one stays', () => {
    const clock = new FakeClock()
    const cancellation = new Cancellation()
    cancellation.startDeadline('1S', clock)
    cancellation.cancel()
    clock.advance(2_000)
    expect(cancellation.signal.reason).toMatchObject({ code: status.CANCELLED, message: 'context canceled' })
  })
})
