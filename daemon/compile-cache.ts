import { existsSync, mkdirSync, type Stats, statSync } from 'node:fs'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Lets Node keep compiled code between starts, in `threadsd` of the user's cache directory (`$XDG_CACHE_HOME`, else
 * `~/.cache`): all starts but the first then take half the time. The directory may be deleted at any time.
 *
 * Whoever can write to it can have the daemon run his code. So it and its parent must belong to the user of the daemon
 * and be closed to writers; else, or if nothing can be written there, nothing is kept. If NODE_COMPILE_CACHE or
 * NODE_DISABLE_COMPILE_CACHE is set, it is as they say.
 */
export function keepCompiledCode(env: Readonly<Record<string, string | undefined>>): void {
  if (env.NODE_COMPILE_CACHE !== undefined || env.NODE_DISABLE_COMPILE_CACHE !== undefined) return
  const parent = env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const directory = join(parent, 'threadsd')
  try {
    for (const path of [parent, directory]) {
      if (!existsSync(path)) mkdirSync(path, { mode: 0o700 })
      if (!isOurs(statSync(path))) return
    }
    enableCompileCache(directory)
  } catch {
    // A file system that takes no writes, or a user without a home. The daemon starts all the same.
  }
}

/** Stores what was compiled until now: what is left for the end of the process is lost in a crash. */
export function storeCompiledCode(): void {
  flushCompileCache()
}

/** Windows knows no owners here: the profile of a user is his. */
function isOurs({ uid, mode }: Stats): boolean {
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0)
}
