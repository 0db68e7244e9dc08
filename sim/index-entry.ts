import { rowKey } from '../src/store/key-codec.ts'

/** The bytes of an index entry, put together from their description alone. Shares no code with src/db/indexes on purpose. */
export function plainIndexKey(
  { thread, generation, index }: { thread: number; generation: number; index: number },
  { path, id, document }: { path: string; id: string; document: unknown },
): Uint8Array {
  let value = document
  for (const member of path.split('.')) value = isObject(value) ? Reflect.get(value, member) : undefined
  return Buffer.concat([rowKey('x', thread, generation, index), component(value), text(id)])
}

function component(value: unknown): Uint8Array {
  if (value === undefined) return Uint8Array.of(0x10)
  if (value === null) return Uint8Array.of(0x14)
  if (typeof value === 'boolean') return Uint8Array.of(value ? 0x21 : 0x20)
  if (typeof value === 'string') return Buffer.concat([Uint8Array.of(0x40), text(value)])
  if (typeof value !== 'number' || value < 0) throw new Error('the simulation writes no such values')
  const bits = Buffer.alloc(8)
  bits.writeDoubleBE(value)
  bits.writeUInt8(bits.readUInt8(0) | 0x80, 0)
  return Buffer.concat([Uint8Array.of(0x30), bits])
}

/** Texts of the simulation hold no 00 and are short. */
function text(value: string): Uint8Array {
  return Buffer.concat([Buffer.from(value), Uint8Array.of(0, 1)])
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
