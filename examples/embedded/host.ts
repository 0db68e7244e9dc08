import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDb, type Databases } from 'threads-db/db'
import {
  createNet,
  decodePrivateKey,
  generateKey,
  type Net,
  openHostStore,
  silentLogger,
  systemClock,
} from 'threads-db/net'

export interface Host {
  readonly net: Net
  readonly databases: Databases
  close(): Promise<void>
}

/** A host in this process, listening on a free port. Without a directory it lives in memory. */
export async function openHost(directory?: string): Promise<Host> {
  const shared = { clock: systemClock, random: randomBytes, logger: silentLogger }
  if (directory !== undefined) await mkdir(directory, { recursive: true })
  const location = directory === undefined ? {} : { location: join(directory, 'store') }
  const store = await openHostStore({ ...location, ...shared })
  const privateKey = directory === undefined ? generateKey(randomBytes) : await keyIn(directory)
  const net = await createNet({ store, privateKey, ...shared })
  const databases = await createDb({ net, store, ...shared })
  await net.start()
  return {
    net,
    databases,
    // What brings work goes first: peers, then what works on records, then the disk.
    async close() {
      await net.stop()
      await databases.close()
      await store.close()
    },
  }
}

/** The key is the host's name among its peers, and signs its tokens: it is kept with the data. */
async function keyIn(directory: string): Promise<ReturnType<typeof generateKey>> {
  const file = join(directory, 'key')
  try {
    return decodePrivateKey(await readFile(file))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    const key = generateKey(randomBytes)
    await writeFile(file, key.encoded, { mode: 0o600 })
    return key
  }
}
