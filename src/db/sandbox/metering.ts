/**
 * Rewrites the WebAssembly of the engine so that it counts its own work: one unit for each call of one of its functions,
 * for each turn of one of its loops, and for every 16 bytes that it copies or fills. It stops where no units are left,
 * also inside of built-ins that the engine itself cannot interrupt. The count depends on what the engine does alone, so
 * it is the same on every machine.
 *
 * The units left are a new exported global variable; below zero, the next loop or call is a trap.
 */

/** Name of the export. */
export const WORK_LEFT = 'workLeft'

/** What the global starts with: no limit. */
export const MAX_WORK: number = 2 ** 31 - 1

const HEADER_BYTES = 8
const SECTION = { globals: 6, exports: 7, code: 10 } as const
const I32 = 0x7f
const MUTABLE = 1
const GLOBAL_EXPORT = 3
/** 16 bytes are one unit. */
const BYTES_SHIFT = 4

// https://webassembly.github.io/spec/core/binary/instructions.html
const OP = {
  unreachable: 0x00,
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  brTable: 0x0e,
  callIndirect: 0x11,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Const: 0x41,
  f32Const: 0x43,
  f64Const: 0x44,
  i32LtS: 0x48,
  i32Sub: 0x6b,
  i32ShrU: 0x76,
  prefix: 0xfc,
} as const
const NO_RESULT = 0x40
const MEMORY_COPY = 10
const MEMORY_FILL = 11
/** Behind the prefix: conversions of numbers without immediates. */
const LAST_CONVERSION = 7

/** Throws TypeError for a module with what this engine does not have. */
export function meterModule(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  const reader = new Reader(wasm, HEADER_BYTES)
  const parts: Uint8Array[] = [wasm.subarray(0, HEADER_BYTES)]
  let codes: Codes | undefined
  while (!reader.atEnd) {
    const id = reader.byte()
    const section = reader.take(reader.number())
    if (id === SECTION.globals) codes = codesFor(new Reader(section).number())
    const metered = codes === undefined ? section : meterSection(id, section, codes)
    parts.push(Uint8Array.of(id, ...encodeNumber(metered.length)), metered)
  }
  if (codes === undefined) throw new TypeError('the module has no global variables')
  return concat(parts)
}

/** Instructions to insert. */
interface Codes {
  /** Number of the global of the units left; the one behind it is for intermediate values. */
  readonly workLeft: number
  /** Charges one unit. */
  readonly one: Uint8Array
  /** Charges the bytes whose number is the last value on the stack, and leaves it there. */
  readonly bytes: Uint8Array
}

function codesFor(globals: number): Codes {
  const left = encodeNumber(globals)
  const scratch = encodeNumber(globals + 1)
  const unreachableBelowZero = [
    OP.globalGet,
    ...left,
    OP.i32Const,
    0,
    OP.i32LtS,
    OP.if,
    NO_RESULT,
    OP.unreachable,
    OP.end,
  ]
  const subtract = [OP.i32Sub, OP.globalSet, ...left, ...unreachableBelowZero]
  const keep = [OP.globalSet, ...scratch]
  const kept = [OP.globalGet, ...scratch]
  const getLeft = [OP.globalGet, ...left]
  return {
    workLeft: globals,
    one: Uint8Array.of(...getLeft, OP.i32Const, 1, ...subtract),
    bytes: Uint8Array.of(...keep, ...getLeft, ...kept, OP.i32Const, BYTES_SHIFT, OP.i32ShrU, ...subtract, ...kept),
  }
}

function meterSection(id: number, section: Uint8Array, codes: Codes): Uint8Array {
  const reader = new Reader(section)
  switch (id) {
    case SECTION.globals: {
      const count = encodeNumber(reader.number() + 2)
      const workLeft = [I32, MUTABLE, OP.i32Const, ...encodeSigned(MAX_WORK), OP.end]
      const scratch = [I32, MUTABLE, OP.i32Const, 0, OP.end]
      return concat([Uint8Array.from(count), reader.rest(), Uint8Array.of(...workLeft, ...scratch)])
    }
    case SECTION.exports: {
      const count = encodeNumber(reader.number() + 1)
      const name = new TextEncoder().encode(WORK_LEFT)
      const entry = [name.length, ...name, GLOBAL_EXPORT, ...encodeNumber(codes.workLeft)]
      return concat([Uint8Array.from(count), reader.rest(), Uint8Array.from(entry)])
    }
    case SECTION.code: {
      const count = reader.number()
      const parts: Uint8Array[] = [Uint8Array.from(encodeNumber(count))]
      for (let i = 0; i < count; i++) {
        const metered = meterFunction(reader.take(reader.number()), codes)
        parts.push(Uint8Array.from(encodeNumber(metered.length)), metered)
      }
      return concat(parts)
    }
    default:
      return section
  }
}

function meterFunction(body: Uint8Array, { one, bytes }: Codes): Uint8Array {
  const reader = new Reader(body)
  for (let groups = reader.number(); groups > 0; groups--) {
    reader.number()
    reader.byte()
  }
  const parts: Uint8Array[] = [body.subarray(0, reader.at), one]
  let from = reader.at
  const insert = (at: number, code: Uint8Array): void => {
    parts.push(body.subarray(from, at), code)
    from = at
  }
  while (!reader.atEnd) {
    const start = reader.at
    const op = skipInstruction(reader)
    if (op === OP.loop) insert(reader.at, one)
    else if (op === MEMORY_COPY_OP || op === MEMORY_FILL_OP) insert(start, bytes)
  }
  parts.push(body.subarray(from))
  return concat(parts)
}

const PREFIXED = 0x100
const MEMORY_COPY_OP: number = PREFIXED + MEMORY_COPY
const MEMORY_FILL_OP: number = PREFIXED + MEMORY_FILL

/** Moves behind the next instruction. Answers its number; those behind the prefix begin at 0x100. */
function skipInstruction(reader: Reader): number {
  const op = reader.byte()
  if (op === OP.prefix) return PREFIXED + skipPrefixed(reader)
  if (op === OP.brTable) {
    for (let labels = reader.number() + 1; labels > 0; labels--) reader.number()
  } else if (op === OP.f32Const) reader.take(4)
  else if (op === OP.f64Const) reader.take(8)
  else for (let left = immediates(op); left > 0; left--) reader.skipNumber()
  return op
}

function skipPrefixed(reader: Reader): number {
  const op = reader.number()
  if (op === MEMORY_COPY) reader.take(2)
  else if (op === MEMORY_FILL) reader.take(1)
  else if (op > LAST_CONVERSION) throw new TypeError(`unknown instruction 0xfc ${op}`)
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

class Reader {
  readonly #bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.at = at
  }

  get atEnd(): boolean {
    return this.at >= this.#bytes.length
  }

  byte(): number {
    const byte = this.#bytes[this.at]
    if (byte === undefined) throw new TypeError('the module ends within something')
    this.at += 1
    return byte
  }

  /** LEB128. */
  number(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
  }

  skipNumber(): void {
    while (this.byte() >= 0x80);
  }

  take(length: number): Uint8Array {
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.at)
  }
}

function encodeNumber(value: number): number[] {
  const bytes: number[] = []
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80)
  return [...bytes, value]
}

/** Of a number that is not negative. */
function encodeSigned(value: number): number[] {
  const bytes: number[] = []
  for (; value >= 0x40; value >>>= 7) bytes.push((value & 0x7f) | 0x80)
  return [...bytes, value]
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
