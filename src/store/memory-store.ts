import { LevelBackedStore } from './level-backend.ts'
import type { OrderedStore } from './ordered-store.ts'

/** A store that lives as long as the process. */
export async function openMemoryStore(): Promise<OrderedStore> {
  // Loaded when asked for: hosts that keep their data do without it.
  const { MemoryLevel } = await import('memory-level')
  const db = new MemoryLevel<Uint8Array, Uint8Array>({
    keyEncoding: 'view',
    valueEncoding: 'view',
    storeEncoding: 'view',
  })
  await db.open()
  return new LevelBackedStore(db, 'in memory')
}
