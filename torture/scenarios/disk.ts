import { mkdir, rm, writeFile } from 'node:fs/promises'
import { freePorts, runDaemon, startDaemon } from '../../test/support/daemon.ts'
import { type Context, eventually, run, type Scenario, share, Skipped, using, verified } from '../scenario.ts'
import { Workload } from '../workload.ts'

/** The daemon refuses writes below 64 MiB of free space; the rest is for it to fill. */
const DISK_MIB = 96

interface Disk extends AsyncDisposable {
  readonly path: string
}

async function mountDisk({ directory }: Context): Promise<Disk> {
  const path = `${directory}/disk`
  await mkdir(path)
  const { code, output } = await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', path])
  if (code !== 0) throw new Skipped(`no file system can be mounted here: ${output.trim()}`)
  return {
    path,
    async [Symbol.asyncDispose]() {
      await run('umount', ['-l', path])
    },
  }
}

/** Fills a disk to its last byte. */
async function fill(path: string): Promise<void> {
  for (let bytes = 8 * 1024 * 1024; bytes >= 512; bytes /= 2) {
    for (let part = 0; ; part++) {
      const file = `${path}/filler-${bytes}-${part}`
      try {
        await writeFile(file, Buffer.alloc(bytes, 1))
      } catch {
        await rm(file, { force: true })
        break
      }
    }
  }
}

async function empty(path: string): Promise<void> {
  await run('find', [path, '-maxdepth', '1', '-name', 'filler-*', '-delete'])
}

export const fullDisk: Scenario = {
  title: 'a disk that is full to its last byte, and has room again',
  async run(context) {
    await using disk = await mountDisk(context)
    const repo = `${disk.path}/repo`
    await using daemon = await startDaemon({ repo })
    const id = await share(daemon)
    const workload = new Workload('full')
    for (let round = 0; round < context.rounds; round++) {
      const writing = using(daemon, id, (database) => workload.run(database))
      await workload.progress(100)
      await fill(disk.path)
      const reason = await writing
      if (reason === undefined) throw new Error('writes went on over the end of the disk')
      await empty(disk.path)
      await eventually(() => using(daemon, id, (database) => workload.check(database)))
      const ending = AbortSignal.timeout(500)
      await eventually(async () => {
        const failure = await using(daemon, id, (database) => workload.run(database, ending))
        if (failure !== undefined) throw failure
      })
      context.say(`${workload.acknowledged} writes answered; the disk was full: ${reason.message.slice(0, 120)}`)
    }
    await daemon.restart()
    await using(daemon, id, (database) => workload.check(database))
    await daemon.kill()
    await verified(repo)
  },
}

export const readOnlyDisk: Scenario = {
  title: 'a disk that turns read-only, and a start on one that is',
  async run(context) {
    await using disk = await mountDisk(context)
    const repo = `${disk.path}/repo`
    const remount = (how: string): Promise<unknown> => run('mount', ['-o', `remount,${how}`, disk.path])
    const workload = new Workload('read-only')
    await using daemon = await startDaemon({ repo })
    const id = await share(daemon)
    const writing = using(daemon, id, (database) => workload.run(database))
    await workload.progress(100)
    await daemon.kill('SIGKILL')
    await writing
    await remount('ro')
    const [host, api, web] = (await freePorts(3)).map((port) => `/ip4/127.0.0.1/tcp/${port}`)
    const flags = [`-hostAddr=${host}`, `-apiAddr=${api}`, `-apiProxyAddr=${web}`]
    const { code, stderr } = await runDaemon(['-repo', repo, ...flags])
    if (code !== 1 || !/read-only|cannot be written/i.test(stderr)) {
      throw new Error(`a start on a read-only disk ended with ${code}: ${stderr}`)
    }
    await remount('rw')
    await daemon.restart()
    await using(daemon, id, (database) => workload.check(database))
    context.say(`${workload.acknowledged} writes answered; a start meanwhile said: ${stderr.trim()}`)
  },
}
