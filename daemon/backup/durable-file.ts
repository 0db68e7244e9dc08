import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Keys are in them. */
const OWNER_ONLY = 0o600

/** Ending of a file that is not whole yet. */
export const PARTIAL = '.partial'

/** What a file was filled with. */
export interface Filled<T> {
  /** Of the file, in the directory of the draft. */
  readonly path: string
  readonly result: T
}

export async function writeDurably(path: string, text: string): Promise<void> {
  await makeDurably(path, async (handle) => ({ path, result: await handle.writeFile(text) }))
}

/**
 * Makes a file, or replaces one, whose path `fill` answers; `near` is a path beside it. After a crash at any moment it is
 * there whole, or as it was before. What is left of one that was cut off ends with `.partial`, and goes with the next.
 */
export async function makeDurably<T>(near: string, fill: (handle: FileHandle) => Promise<Filled<T>>): Promise<T> {
  const draft = `${near}.${process.pid}${PARTIAL}`
  try {
    const { path, result } = await fillDurably(draft, fill)
    await rename(draft, path)
    await removeLeftovers(near)
    await syncDirectory(dirname(near))
    return result
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

async function fillDurably<T>(draft: string, fill: (handle: FileHandle) => Promise<Filled<T>>): Promise<Filled<T>> {
  const handle = await open(draft, 'w', OWNER_ONLY)
  try {
    const filled = await fill(handle)
    await handle.sync()
    return filled
  } finally {
    await handle.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function removeLeftovers(near: string): Promise<void> {
  const start = `${basename(near)}.`
  for (const name of await readdir(dirname(near))) {
    if (!name.startsWith(start) || !name.endsWith(PARTIAL)) continue
    const pid = Number(name.slice(start.length, -PARTIAL.length))
    if (Number.isSafeInteger(pid) && pid > 0 && !isRunning(pid)) await rm(join(dirname(near), name), { force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
