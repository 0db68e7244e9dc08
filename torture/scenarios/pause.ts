import { startDaemon } from '../../test/support/daemon.ts'
import { eventually, pause, type Scenario, share, using } from '../scenario.ts'
import { Workload } from '../workload.ts'

const STOPPED_MS = 3_000

export const stopAndContinue: Scenario = {
  title: 'SIGSTOP of one of two daemons that share a database, then SIGCONT',
  async run({ rounds, say }) {
    await using first = await startDaemon()
    await using second = await startDaemon()
    const id = await share(first, second)
    const [here, there] = [new Workload('here'), new Workload('there')]
    for (let round = 0; round < rounds; round++) {
      const ending = new AbortController()
      const writing = [
        using(first, id, (database) => here.run(database, ending.signal)),
        using(second, id, (database) => there.run(database, ending.signal)),
      ]
      await pause(500)
      process.kill(second.pid, 'SIGSTOP')
      await pause(STOPPED_MS)
      process.kill(second.pid, 'SIGCONT')
      await pause(500)
      ending.abort()
      const [reason] = (await Promise.all(writing)).filter((each) => each !== undefined)
      if (reason !== undefined) throw reason
      for (const daemon of [first, second]) {
        await eventually(() => using(daemon, id, (database) => here.check(database)))
        await eventually(() => using(daemon, id, (database) => there.check(database)))
      }
    }
    say(`${here.acknowledged} and ${there.acknowledged} writes answered, both the same at both`)
  },
}
