import { freePorts, startDaemon, type TestDaemon } from '../../test/support/daemon.ts'
import { eventually, type Scenario, share, using, verified } from '../scenario.ts'
import { Workload } from '../workload.ts'

const PRELOAD = new URL('../preload/shift-clock.ts', import.meta.url)
const MINUTE_MS = 60_000
/** Within what peers take at once, beyond it, and back. */
const SHIFTS_MS = [0, 5 * MINUTE_MS, -5 * MINUTE_MS, 30 * MINUTE_MS, 0, -60 * MINUTE_MS, 0]
const WRITES = 60

export const wrongClock: Scenario = {
  title: 'a clock that is set forward and back',
  async run({ directory, say }) {
    const repo = `${directory}/repo`
    const [host] = await freePorts(1)
    const start = (shiftMs: number): Promise<TestDaemon> => {
      const env = { NODE_OPTIONS: `--import=${PRELOAD.href}`, TORTURE_CLOCK_MS: String(shiftMs) }
      return startDaemon({ repo, env, flags: { hostAddr: `/ip4/127.0.0.1/tcp/${host}` } })
    }
    const peerRepo = `${directory}/peer`
    let peer = await startDaemon({ repo: peerRepo })
    const workload = new Workload('clock')
    let id: Uint8Array | undefined
    for (const shiftMs of SHIFTS_MS) {
      await using daemon = await start(shiftMs)
      id ??= await share(daemon, peer)
      const database = id
      const ending = new AbortController()
      const writing = using(daemon, database, (each) => workload.run(each, ending.signal))
      await workload.progress(WRITES)
      ending.abort()
      const reason = await writing
      if (reason !== undefined) throw reason
      await using(daemon, database, (each) => workload.check(each))
      await daemon.kill()
      say(`clock off by ${shiftMs / MINUTE_MS} minutes: ${workload.acknowledged} writes answered so far`)
    }
    if (id === undefined) throw new Error('nothing was written')
    const database = id
    await peer.kill()
    // The peer held back what was ahead of its clock. An hour later it shows all.
    const env = { NODE_OPTIONS: `--import=${PRELOAD.href}`, TORTURE_CLOCK_MS: String(60 * MINUTE_MS) }
    peer = await startDaemon({ repo: peerRepo, env })
    await using _ = peer
    await using daemon = await start(0)
    await eventually(() => using(peer, database, (each) => workload.check(each)))
    await using(daemon, database, (each) => workload.check(each))
    await daemon.kill()
    await verified(repo)
  },
}
