import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Keys are in them. */
const OWNER_ONLY = 0o600

/** Ending of a file that is not whole yet. */
export const PARTIAL = '.partial'

export async function writeDurably(path: string, text: string): Promise<void> {
  await makeDurably(path, async (handle) => {
    await handle.writeFile(text)
    return path
  })
}

/**
 * Makes a file, or replaces one, whose path `fill` answers; `near` is a path beside it. After a crash at any moment it is
 * there whole, or as it was before. What is left of one that was cut off ends with `.partial`, and goes with the next.
 */
export async function makeDurably(near: string, fill: (handle: FileHandle) => Promise<string>): Promise<void> {
  const draft = `${near}.${process.pid}${PARTIAL}`
  const handle = await open(draft, 'w', OWNER_ONLY)
  try {
    let path: string
    try {
      path = await fill(handle)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  await removeLeftovers(near)
  const directory = await open(dirname(near))
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
