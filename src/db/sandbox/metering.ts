/**
 * Rewrites the WebAssembly of the engine so that it counts what it uses of its host:
 *
 * - work: one unit for each call of one of its functions, for each turn of one of its loops, and for every 16 bytes that
 *   it copies or fills;
 * - stack: what the functions under way need at most, however they are compiled.
 *
 * It stops with a trap where nothing is left, also inside of built-ins that the engine itself cannot interrupt. What is
 * left are new exported global variables, below zero after the trap. They depend on what the engine does alone, so they
 * are the same on every machine.
 */
import { concat, encodeNumber, encodeSigned, WasmReader } from './wasm-bytes.ts'
import { OP, skipInstruction } from './wasm-instructions.ts'

/** Names of the exports. */
export const WORK_LEFT = 'workLeft'
export const STACK_LEFT = 'stackLeft'

/** What they start with: no limit. */
export const NO_LIMIT: number = 2 ** 31 - 1

const HEADER_BYTES = 8
const SECTION = { types: 1, functions: 3, globals: 6, exports: 7, code: 10 } as const
const I32 = 0x7f
const MUTABLE = 1
const GLOBAL_EXPORT = 3
/** 16 bytes are one unit. */
const BYTES_SHIFT = 4
const NO_RESULT = 0x40

/** Of a frame, beside its variables: where it returns to, and values in between. */
const FRAME_BYTES = 128
const VARIABLE_BYTES = 8

interface Signature {
  readonly parameters: number
  /** As the type of a block. */
  readonly result: number
}

/** What is known of the module behind its first sections. */
interface Module {
  signatures: Signature[]
  /** Of each function, the number of its signature. */
  functions: number[]
  globals: number
}

/** Throws TypeError for a module with what this engine does not have. */
export function meterModule(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  const reader = new WasmReader(wasm, HEADER_BYTES)
  const parts: Uint8Array[] = [wasm.subarray(0, HEADER_BYTES)]
  const module: Module = { signatures: [], functions: [], globals: 0 }
  while (!reader.atEnd) {
    const id = reader.byte()
    const metered = meterSection(id, reader.take(reader.number()), module)
    parts.push(Uint8Array.of(id, ...encodeNumber(metered.length)), metered)
  }
  if (module.globals === 0) throw new TypeError('the module has no global variables')
  return concat(parts)
}

function meterSection(id: number, section: Uint8Array, module: Module): Uint8Array {
  const reader = new WasmReader(section)
  switch (id) {
    case SECTION.types:
      module.signatures = list(reader, readSignature)
      return section
    case SECTION.functions:
      module.functions = list(reader, () => reader.number())
      return section
    case SECTION.globals: {
      module.globals = reader.number()
      const count = Uint8Array.from(encodeNumber(module.globals + 3))
      const unlimited = [I32, MUTABLE, OP.i32Const, ...encodeSigned(NO_LIMIT), OP.end]
      const scratch = [I32, MUTABLE, OP.i32Const, 0, OP.end]
      return concat([count, reader.rest(), Uint8Array.of(...unlimited, ...unlimited, ...scratch)])
    }
    case SECTION.exports: {
      const count = Uint8Array.from(encodeNumber(reader.number() + 2))
      const { globals } = module
      return concat([count, reader.rest(), exportOf(WORK_LEFT, globals), exportOf(STACK_LEFT, globals + 1)])
    }
    case SECTION.code: {
      const bodies = list(reader, () => reader.take(reader.number()))
      const metered = bodies.flatMap((body, index) => {
        const signature = module.signatures[module.functions[index] ?? -1]
        if (signature === undefined) throw new TypeError('a function has no signature')
        const code = new FunctionMeter(body, signature, module.globals).meter()
        return [Uint8Array.from(encodeNumber(code.length)), code]
      })
      return concat([Uint8Array.from(encodeNumber(bodies.length)), ...metered])
    }
    default:
      return section
  }
}

function list<T>(reader: WasmReader, read: (reader: WasmReader) => T): T[] {
  return Array.from({ length: reader.number() }, () => read(reader))
}

function readSignature(reader: WasmReader): Signature {
  reader.byte()
  const parameters = list(reader, () => reader.byte()).length
  const [result = NO_RESULT, ...more] = list(reader, () => reader.byte())
  if (more.length > 0) throw new TypeError('a function has several results')
  return { parameters, result }
}

function exportOf(name: string, global: number): Uint8Array {
  const text = new TextEncoder().encode(name)
  return Uint8Array.of(text.length, ...text, GLOBAL_EXPORT, ...encodeNumber(global))
}

class FunctionMeter {
  readonly #body: Uint8Array
  readonly #signature: Signature
  readonly #workLeft: number[]
  readonly #stackLeft: number[]
  readonly #scratch: number[]

  constructor(body: Uint8Array, signature: Signature, globals: number) {
    this.#body = body
    this.#signature = signature
    this.#workLeft = encodeNumber(globals)
    this.#stackLeft = encodeNumber(globals + 1)
    this.#scratch = encodeNumber(globals + 2)
  }

  meter(): Uint8Array {
    const reader = new WasmReader(this.#body)
    const locals = list(reader, () => {
      const count = reader.number()
      reader.byte()
      return count
    })
    const head = this.#body.subarray(0, reader.at)
    const variables = locals.reduce((sum, count) => sum + count, this.#signature.parameters)
    // One that calls no other is on top of the stack: one frame more does not matter.
    const frame = callsOthers(this.#body, reader.at) ? FRAME_BYTES + VARIABLE_BYTES * variables : 0
    const body = this.#meterBody(reader, frame > 0)
    if (frame === 0) return concat([head, this.#charge(1), ...body])
    const enter = [
      ...this.#spend(this.#workLeft, 1),
      ...this.#spend(this.#stackLeft, frame),
      ...this.#trapBelowZero(true),
    ]
    const give = [...this.#get(this.#stackLeft), OP.i32Const, ...encodeSigned(frame), OP.i32Add]
    return concat([
      head,
      Uint8Array.of(...enter, OP.block, this.#signature.result),
      ...body,
      Uint8Array.of(...give, ...this.#set(this.#stackLeft), OP.end),
    ])
  }

  /** A body in a block is left by leaving the block. */
  #meterBody(reader: WasmReader, inBlock: boolean): Uint8Array[] {
    const parts: Uint8Array[] = []
    const one = this.#charge(1)
    let from = reader.at
    let depth = 0
    while (!reader.atEnd) {
      const start = reader.at
      const op = skipInstruction(reader)
      if (op === OP.block || op === OP.loop || op === OP.if) depth++
      if (op === OP.end) depth--
      if (op === OP.loop) {
        parts.push(this.#body.subarray(from, reader.at), one)
        from = reader.at
      } else if (op === OP.memoryCopy || op === OP.memoryFill) {
        parts.push(this.#body.subarray(from, start), this.#chargeBytes())
        from = start
      } else if (op === OP.return && inBlock) {
        parts.push(this.#body.subarray(from, start), Uint8Array.of(OP.br, ...encodeNumber(depth)))
        from = reader.at
      }
    }
    return [...parts, this.#body.subarray(from)]
  }

  #get(global: readonly number[]): number[] {
    return [OP.globalGet, ...global]
  }

  #set(global: readonly number[]): number[] {
    return [OP.globalSet, ...global]
  }

  #spend(global: readonly number[], units: number): number[] {
    return [...this.#get(global), OP.i32Const, ...encodeSigned(units), OP.i32Sub, ...this.#set(global)]
  }

  #trapBelowZero(withStack = false): number[] {
    const stack = withStack ? [...this.#get(this.#stackLeft), OP.i32Or] : []
    const isBelowZero = [...this.#get(this.#workLeft), ...stack, OP.i32Const, 0, OP.i32LtS]
    return [...isBelowZero, OP.if, NO_RESULT, OP.unreachable, OP.end]
  }

  #charge(units: number): Uint8Array {
    return Uint8Array.of(...this.#spend(this.#workLeft, units), ...this.#trapBelowZero())
  }

  /** Charges the bytes whose number is the last value on the stack, and leaves it there. */
  #chargeBytes(): Uint8Array {
    const keep = this.#set(this.#scratch)
    const kept = this.#get(this.#scratch)
    const spend = [...this.#get(this.#workLeft), ...kept, OP.i32Const, BYTES_SHIFT, OP.i32ShrU, OP.i32Sub]
    return Uint8Array.of(...keep, ...spend, ...this.#set(this.#workLeft), ...this.#trapBelowZero(), ...kept)
  }
}

function callsOthers(body: Uint8Array, start: number): boolean {
  const reader = new WasmReader(body, start)
  while (!reader.atEnd) {
    const op = skipInstruction(reader)
    if (op === OP.call || op === OP.callIndirect) return true
  }
  return false
}
