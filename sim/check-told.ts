import { cidOf } from '../src/core/cbor.ts'
import { decodeLogRow, decodeRecordRow, readRecordKey } from '../src/net/rows.ts'
import { parseKey, rowRange } from '../src/store/key-codec.ts'
import type { Operation } from '../src/store/ordered-store.ts'
import type { SimHost } from './host.ts'
import { fail, type World } from './world.ts'

/** A record that its author lost before it was synced. */
export interface LostRecord {
  readonly author: SimHost
  readonly counter: number
  /** In the CID of the record. */
  readonly digest: Uint8Array
}

/** Notes what a host lost when it crashed. It may not have told anybody: no other host has a record that it wrote then. */
export async function checkTold(world: World, author: SimHost, lost: readonly Operation[]): Promise<void> {
  const own = await ownLogNumbers(author, lost)
  for (const operation of lost) {
    if (operation.type !== 'put' || operation.key[0] !== 'r'.charCodeAt(0)) continue
    const { thread, log, counter } = readRecordKey(operation.key)
    if (!own.has(`${thread}/${log}`)) continue
    const { digest } = cidOf(decodeRecordRow(operation.value).recordNode).multihash
    world.lost.push({ author, counter, digest })
  }
  await checkLost(world)
}

/** What was lost before it was synced is nowhere. */
export async function checkLost(world: World): Promise<void> {
  for (const { author, counter, digest } of world.lost) {
    for (const host of world.hosts) {
      if (!(await holds(host, digest))) continue
      fail(world, `${host.name} has record ${counter} of ${author.name}, which lost it before it was synced`)
    }
  }
}

/** The logs a host writes, by the numbers in their rows; also those whose rows are lost. */
async function ownLogNumbers(host: SimHost, lost: readonly Operation[]): Promise<ReadonlySet<string>> {
  const disk = await host.disk.read()
  const own = new Set<string>()
  const note = (key: Uint8Array, row: Uint8Array): void => {
    const parts = parseKey(key)
    const [thread, log] = [parts.number(), parts.number()]
    if (decodeLogRow(log, row).privateKey !== undefined) own.add(`${thread}/${log}`)
  }
  for await (const [key, row] of disk.entries(rowRange('l'))) note(key, row)
  for (const operation of lost) {
    if (operation.type === 'put' && operation.key[0] === 'l'.charCodeAt(0)) note(operation.key, operation.value)
  }
  return own
}

async function holds(host: SimHost, digest: Uint8Array): Promise<boolean> {
  const disk = await host.disk.read()
  // Rows that find a record begin with eight bytes of its id.
  for await (const _ of disk.entries({ ...rowRange('c', digest.subarray(0, 8)), limit: 1 })) return true
  return false
}
