import type { WasmReader } from './wasm-bytes.ts'

/** Instructions by number: https://webassembly.github.io/spec/core/binary/instructions.html */
export const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  br: 0x0c,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Const: 0x41,
  f32Const: 0x43,
  f64Const: 0x44,
  i32LtS: 0x48,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Or: 0x72,
  i32ShrU: 0x76,
  prefix: 0xfc,
  // Behind the prefix.
  memoryCopy: 0x10a,
  memoryFill: 0x10b,
} as const

const PREFIXED = 0x100
/** Conversions of numbers, without immediates. */
const LAST_CONVERSION = PREFIXED + 7

/** Moves behind the next instruction. Answers its number. Throws TypeError for those that the engine does not have. */
export function skipInstruction(reader: WasmReader): number {
  const op = reader.byte()
  if (op === OP.prefix) return skipPrefixed(reader)
  if (op === OP.brTable) {
    for (let labels = reader.number() + 1; labels > 0; labels--) reader.skipNumber()
  } else if (op === OP.f32Const) reader.take(4)
  else if (op === OP.f64Const) reader.take(8)
  else for (let left = immediates(op); left > 0; left--) reader.skipNumber()
  return op
}

function skipPrefixed(reader: WasmReader): number {
  const op = PREFIXED + reader.number()
  if (op === OP.memoryCopy) reader.take(2)
  else if (op === OP.memoryFill) reader.take(1)
  else if (op > LAST_CONVERSION) throw new TypeError(`unknown instruction 0xfc ${op - PREFIXED}`)
  return op
}

/** How many numbers follow an instruction. */
function immediates(op: number): number {
  // unreachable, nop, else, end, return, drop, select; arithmetic.
  if ([0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b].includes(op) || (op >= 0x45 && op <= 0xc4)) return 0
  // block, loop, if, br, br_if, call; variables; memory.size, memory.grow, i32.const, i64.const.
  if ([0x02, 0x03, 0x04, 0x0c, 0x0d, 0x10].includes(op) || (op >= 0x20 && op <= 0x24)) return 1
  if (op >= 0x3f && op <= 0x42) return 1
  // call_indirect; loads and stores.
  if (op === OP.callIndirect || (op >= 0x28 && op <= 0x3e)) return 2
  throw new TypeError(`unknown instruction 0x${op.toString(16)}`)
}
