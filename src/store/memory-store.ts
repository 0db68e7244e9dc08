import { MemoryLevel } from 'memory-level'
import { LevelBackedStore } from './level-backend.ts'
import type { OrderedStore } from './ordered-store.ts'

/** A store that lives as long as the process. */
export async function openMemoryStore(): Promise<OrderedStore> {
  const db = new MemoryLevel<Uint8Array, Uint8Array>({
    keyEncoding: 'view',
    valueEncoding: 'view',
    storeEncoding: 'view',
  })
  await db.open()
  return new LevelBackedStore(db, 'in memory')
}
