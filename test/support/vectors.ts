import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fromHex, utf8 } from '../../src/core/bytes.ts'

const FOLDER = new URL('../interop/vectors/', import.meta.url)

interface Members {
  readonly [name: string]: unknown
}

/** One object of a vector file. Reading a member that is absent or of another type fails the test. */
export class VectorCase {
  readonly #members: Members

  constructor(members: Members) {
    this.#members = members
  }

  /** What the case is about; 'case' in files whose cases are all of one kind. */
  get kind(): string {
    return this.has('kind') ? this.string('kind') : 'case'
  }

  /** Whether the Go implementation is wrong here. */
  get fault(): boolean {
    return this.#members['fault'] === true
  }

  get names(): string[] {
    return Object.keys(this.#members)
  }

  /** Present and not null. */
  has(name: string): boolean {
    return this.#members[name] !== undefined && this.#members[name] !== null
  }

  value(name: string): unknown {
    return this.#members[name]
  }

  string(name: string): string {
    return this.#typed(name, 'string')
  }

  boolean(name: string): boolean {
    return this.#typed(name, 'boolean')
  }

  number(name: string): number {
    return this.#typed(name, 'number')
  }

  /** 64-bit integers are written as decimal strings. */
  bigint(name: string): bigint {
    return BigInt(this.string(name))
  }

  /** Bytes are written in hex. */
  bytes(name: string): Uint8Array {
    return fromHex(this.string(name))
  }

  /** The UTF-8 bytes of a text; those that are not UTF-8 stand in hex in a member of the same name with `Hex`. */
  textBytes(name: string): Uint8Array {
    return this.has(`${name}Hex`) ? this.bytes(`${name}Hex`) : utf8(this.string(name))
  }

  list(name: string): VectorCase[] {
    const list = this.#members[name]
    if (!Array.isArray(list)) throw new Error(`${name} is no list`)
    return list.map((item) => new VectorCase(item))
  }

  #typed<T extends 'string' | 'boolean' | 'number'>(name: string, type: T): TypeOf<T> {
    const value = this.#members[name]
    expect(typeof value, `type of member ${name}`).toBe(type)
    return value as TypeOf<T>
  }
}

type TypeOf<T> = T extends 'string' ? string : T extends 'boolean' ? boolean : number

/** Checks one case; `head` holds the members shared by all cases of the file. */
export type CaseCheck = (one: VectorCase, head: VectorCase) => void | Promise<void>

/** Makes every case of a vector file a test. A case whose kind has no check fails. */
export function testVectors(file: string, checks: { readonly [kind: string]: CaseCheck }): void {
  const head = new VectorCase(JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')))
  describe(`vectors of ${file}`, () => {
    for (const [i, one] of head.list('cases').entries()) {
      const name = one.has('name') ? one.string('name') : one.has('type') ? one.string('type') : ''
      test(`${i} ${one.kind}: ${name}`, async () => {
        const check = checks[one.kind]
        if (check === undefined) throw new Error(`no check for cases of kind ${one.kind}`)
        await check(one, head)
      })
    }
  })
}
