import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { DiskSpace } from '../../../src/store/free-space.ts'
import { FakeClock } from '../../support/fake-clock.ts'

it('looks at the disk again after a second, not before', async () => {
  const location = await mkdtemp(join(tmpdir(), 'threads-space-'))
  onTestFinished(() => rm(location, { recursive: true, force: true }))
  const clock = new FakeClock()
  const options = { location, minFreeBytes: Number.MAX_SAFE_INTEGER, clock }
  const space = new DiskSpace(options)
  await space.look()
  expect(space.isLow()).toBe(true)
  options.minFreeBytes = 0
  clock.advance(999)
  expect(space.isLow()).toBe(true)
  // Longer than a look would have taken.
  for (let i = 0; i < 5; i++) {
    await statfs(location)
    expect(space.isLow()).toBe(true)
  }
  clock.advance(1)
  await vi.waitFor(() => expect(space.isLow()).toBe(false))
})

it('counts a disk that cannot say as having room', async () => {
  const space = new DiskSpace({ location: '/nowhere/at/all', minFreeBytes: 1, clock: new FakeClock() })
  await space.look()
  expect(space.isLow()).toBe(false)
})
