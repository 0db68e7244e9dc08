/** A process that writes to the store named by its argument from many sides and reports each acknowledged commit. */
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { openHostStore } from '../../src/store/host-store.ts'
import { putBatch } from './host-store.ts'

process.once('disconnect', () => process.exit())

const host = await openHostStore({
  location: process.argv[2] ?? '',
  clock: systemClock,
  random: (length) => crypto.getRandomValues(new Uint8Array(length)),
  logger: silentLogger,
})

async function write(writer: number): Promise<void> {
  for (let i = 0; ; i++) {
    const { seq } = await host.committer.submit(putBatch(1, `dog-${writer}-${i}`))
    process.send?.(seq)
  }
}

await Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)))
