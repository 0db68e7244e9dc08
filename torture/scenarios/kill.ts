import { startDaemon } from '../../test/support/daemon.ts'
import { between, type Context, type Scenario, share, using, verified } from '../scenario.ts'
import { Workload } from '../workload.ts'

const PRELOAD = new URL('../preload/kill-at-commit.ts', import.meta.url)
const PHASES = ['before', 'during', 'after', 'later'] as const
const MAX_COMMIT = 60

export const killAtRandom: Scenario = {
  title: 'kill -9 at random moments, with both durabilities',
  async run({ directory, rounds, say }) {
    for (const durability of ['full', 'relaxed']) {
      const repo = `${directory}/${durability}`
      await using daemon = await startDaemon({ repo, flags: { durability } })
      const id = await share(daemon)
      const workload = new Workload(durability)
      for (let round = 0; round < 2 * rounds; round++) {
        const writing = using(daemon, id, (database) => workload.run(database))
        await workload.progress(between(1, 200))
        await daemon.kill('SIGKILL')
        await writing
        await daemon.restart()
        await using(daemon, id, (database) => workload.check(database))
      }
      say(`${durability}: ${workload.acknowledged} writes answered, ${2 * rounds} kills`)
      await daemon.kill()
      await verified(repo)
    }
  },
}

export const killAtCommit: Scenario = {
  title: 'kill -9 before, during and after a commit, and on the way of its answer',
  async run(context) {
    const repo = `${context.directory}/repo`
    const id = await createIn(repo)
    const workload = new Workload('commit')
    for (let round = 0; round < context.rounds; round++) {
      for (const phase of PHASES) await killAt({ repo, id, workload, phase }, context)
    }
    await verified(repo)
    context.say(`${workload.acknowledged} writes answered, ${context.rounds * PHASES.length} kills`)
  },
}

async function createIn(repo: string): Promise<Uint8Array> {
  await using daemon = await startDaemon({ repo })
  const id = await share(daemon)
  await daemon.kill()
  return id
}

async function killAt(
  { repo, id, workload, phase }: { repo: string; id: Uint8Array; workload: Workload; phase: string },
  { say }: Context,
): Promise<void> {
  const env = { NODE_OPTIONS: `--import=${PRELOAD.href}`, TORTURE_KILL: `${between(8, MAX_COMMIT)}:${phase}` }
  {
    await using dying = await startDaemon({ repo, env })
    const reason = await using(dying, id, (database) => workload.run(database))
    const { signal, stderr } = await dying.kill('SIGKILL')
    if (reason === undefined || signal !== 'SIGKILL') throw new Error(`not killed ${phase} a commit: ${stderr}`)
  }
  await using daemon = await startDaemon({ repo })
  await using(daemon, id, (database) => workload.check(database))
  await daemon.kill()
  say(`${env.TORTURE_KILL}: ${workload.acknowledged} writes answered so far`)
}
