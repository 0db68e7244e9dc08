/** What Linux tells of processes. Elsewhere there are no such figures. */
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type CpuMeter, ownCpuMs } from './measure.ts'

/** CPU time of this process and of others, all threads of each. */
export function cpuOf(...others: readonly number[]): CpuMeter {
  return async () => {
    const times = await Promise.all(others.filter((pid) => pid !== process.pid).map(cpuMsOf))
    return ownCpuMs() + times.reduce((sum, ms) => sum + ms, 0)
  }
}

/** CPU time of the threads that a process has now, in ms; NaN if it cannot be read. */
export async function cpuMsOf(pid: number): Promise<number> {
  const tasks = `/proc/${pid}/task`
  try {
    const texts = await Promise.all(
      (await readdir(tasks)).map((task) => readFile(join(tasks, task, 'schedstat'), 'utf8').catch(() => '0')),
    )
    return texts.reduce((sum, text) => sum + Number.parseInt(text, 10), 0) / 1e6
  } catch {
    return Number.NaN
  }
}

/** Memory of a process that is in use now, in MiB. */
export async function residentMib(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}

/** Bytes of the files in a directory, with those below it. */
export async function bytesOf(directory: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    // Compactions remove files at any time.
    const file = entry.isFile() ? await stat(join(entry.parentPath, entry.name)).catch(() => undefined) : undefined
    bytes += file?.size ?? 0
  }
  return bytes
}

/** Bytes of the directories in which a process has files open: those of its database, wherever it lies. */
export async function diskBytesOf(pid: number): Promise<number> {
  const open = `/proc/${pid}/fd`
  // The first three may be logs, anywhere.
  const numbers = (await readdir(open)).filter((fd) => Number(fd) > 2)
  const paths = await Promise.all(numbers.map((fd) => readlink(join(open, fd)).catch(() => '')))
  const directories = new Set<string>()
  for (const path of paths) {
    const isData = path.startsWith('/') && !/^\/(proc|sys|dev)\//.test(path)
    if (isData && (await stat(path).catch(() => undefined))?.isFile()) directories.add(dirname(path))
  }
  const outermost = [...directories].filter((one) => ![...directories].some((other) => one.startsWith(`${other}/`)))
  return (await Promise.all(outermost.map(bytesOf))).reduce((sum, bytes) => sum + bytes, 0)
}
