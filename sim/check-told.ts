import { cidOf } from '../src/core/cbor.ts'
import { decodeRecordRow, readRecordKey } from '../src/net/rows.ts'
import { Threads } from '../src/net/threads.ts'
import { rowRange } from '../src/store/key-codec.ts'
import type { Operation } from '../src/store/ordered-store.ts'
import type { SimHost } from './host.ts'
import { fail, type World } from './world.ts'

/** What a host lost when it crashed was told to nobody: no other host has a record that it wrote then. */
export async function checkTold(world: World, host: SimHost, lost: readonly Operation[]): Promise<void> {
  const own = await ownLogNumbers(host)
  for (const operation of lost) {
    if (operation.type !== 'put' || operation.key[0] !== 'r'.charCodeAt(0)) continue
    const { thread, log, counter } = readRecordKey(operation.key)
    if (!own.has(`${thread}/${log}`)) continue
    const { digest } = cidOf(decodeRecordRow(operation.value).recordNode).multihash
    for (const other of world.hosts) {
      if (other === host || !(await holds(other, digest))) continue
      fail(world, `${other.name} has record ${counter} of ${host.name}, which lost it before it was synced`)
    }
  }
}

/** The logs a host writes, by the numbers in their rows. */
async function ownLogNumbers(host: SimHost): Promise<ReadonlySet<string>> {
  const threads = new Threads(await host.disk.read())
  await threads.load()
  const own = threads.all().flatMap(({ number, stored }) => {
    const logs = [...stored.logs.values()].filter(({ privateKey }) => privateKey !== undefined)
    return logs.map((log) => `${number}/${log.number}`)
  })
  return new Set(own)
}

async function holds(host: SimHost, digest: Uint8Array): Promise<boolean> {
  const disk = await host.disk.read()
  // Rows that find a record begin with eight bytes of its id.
  for await (const _ of disk.entries({ ...rowRange('c', digest.subarray(0, 8)), limit: 1 })) return true
  return false
}
