/**
 * Loaded into a daemon before its own modules. Kills it at a commit: TORTURE_KILL is `<which>:<phase>`, counted from the
 * first batch that LevelDB is given.
 */
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'

interface Batch {
  _write: (this: Batch, options: unknown) => Promise<void>
}

const [which = '', phase = ''] = (process.env['TORTURE_KILL'] ?? '').split(':')
const inLevel = createRequire(createRequire(import.meta.resolve('level')).resolve('classic-level'))
const { ChainedBatch } = inLevel('./chained-batch.js') as { ChainedBatch: { prototype: Batch } }
const { prototype } = ChainedBatch
const { _write: write } = prototype
let left = Number(which)

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

prototype._write = async function (this: Batch, options) {
  left--
  if (left !== 0) return write.call(this, options)
  if (phase === 'before') die()
  const writing = write.call(this, options)
  if (phase === 'during') setImmediate(die)
  await writing
  if (phase === 'after') die()
  // Answers are on their way by then.
  sleep(2).then(die, die)
}
