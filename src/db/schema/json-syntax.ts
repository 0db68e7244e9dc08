/** Reads JSON. What is none is refused in the words of Go, which clients of go-threads know. */
import { utf8 } from '../../core/bytes.ts'
import type { JsonMember, JsonNode } from './json-node.ts'

export interface JsonLimits {
  /** How deep objects and arrays may be nested. */
  readonly depth: number
  /** Values in all. */
  readonly nodes: number
}

/** Throws SyntaxError, or RangeError beyond a limit. */
export function readJson(text: string, limits: JsonLimits): JsonNode {
  const reader = new JsonReader(text, limits)
  const node = reader.value(0)
  reader.end()
  return node
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const SPACE = /[ \t\r\n]*/y
/** A string without escapes. */
// oxlint-disable-next-line no-control-regex -- strings must not have them
const PLAIN_STRING = /"[^"\\\u0000-\u001f]*"/y
// oxlint-disable-next-line no-control-regex -- strings must not have them
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y

class JsonReader {
  readonly #text: string
  readonly #limits: JsonLimits
  #offset = 0
  #nodes = 0

  constructor(text: string, limits: JsonLimits) {
    this.#text = text
    this.#limits = limits
  }

  value(depth: number): JsonNode {
    if (++this.#nodes > this.#limits.nodes) throw new RangeError(`more than ${this.#limits.nodes} values`)
    this.#take(SPACE)
    switch (this.#text.charAt(this.#offset)) {
      case '{':
        return this.#object(depth + 1)
      case '[':
        return this.#array(depth + 1)
      case '"':
        return { kind: 'string', value: this.#string() }
      case 't':
        return this.#literal('true', { kind: 'bool', value: true })
      case 'f':
        return this.#literal('false', { kind: 'bool', value: false })
      case 'n':
        return this.#literal('null', { kind: 'null' })
      default:
        return this.#number()
    }
  }

  end(): void {
    this.#take(SPACE)
    if (this.#offset < this.#text.length) throw this.#unexpected('after top-level value')
  }

  #object(depth: number): JsonNode {
    this.#enter(depth)
    const members: JsonMember[] = []
    if (this.#next('}')) return { kind: 'object', members }
    do {
      this.#take(SPACE)
      if (this.#text[this.#offset] !== '"') throw this.#unexpected('looking for beginning of object key string')
      const name = this.#string()
      if (!this.#next(':')) throw this.#unexpected('after object key')
      members.push({ name, node: this.value(depth) })
    } while (this.#next(','))
    if (!this.#next('}')) throw this.#unexpected('after object key:value pair')
    return { kind: 'object', members }
  }

  #array(depth: number): JsonNode {
    this.#enter(depth)
    const items: JsonNode[] = []
    if (this.#next(']')) return { kind: 'array', items }
    do items.push(this.value(depth))
    while (this.#next(','))
    if (!this.#next(']')) throw this.#unexpected('after array element')
    return { kind: 'array', items }
  }

  #enter(depth: number): void {
    if (depth > this.#limits.depth) throw new RangeError(`nested more than ${this.#limits.depth} levels deep`)
    this.#offset++
  }

  #string(): string {
    const plain = this.#take(PLAIN_STRING)
    if (plain !== undefined) return plain.slice(1, -1)
    const escaped = this.#take(STRING)
    if (escaped === undefined) throw this.#badString()
    const value: unknown = JSON.parse(escaped)
    return String(value)
  }

  #number(): JsonNode {
    const text = this.#take(NUMBER)
    if (text === undefined) {
      if (this.#text[this.#offset] !== '-') throw this.#unexpected('looking for beginning of value')
      this.#offset++
      throw this.#unexpected('in numeric literal')
    }
    return { kind: 'number', text }
  }

  #literal(word: string, node: JsonNode): JsonNode {
    for (let i = 1; i < word.length; i++) {
      this.#offset++
      if (this.#text[this.#offset] !== word[i]) throw this.#unexpected(`in literal ${word} (expecting '${word[i]}')`)
    }
    this.#offset++
    return node
  }

  /** Passes over white space and, if it comes next, a character. */
  #next(character: string): boolean {
    this.#take(SPACE)
    if (this.#text[this.#offset] !== character) return false
    this.#offset++
    return true
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset
    const found = pattern.exec(this.#text)?.[0]
    this.#offset += found?.length ?? 0
    return found
  }

  #badString(): SyntaxError {
    for (this.#offset++; this.#offset < this.#text.length; this.#offset++) {
      const character = this.#text[this.#offset] ?? ''
      if (character < ' ') return this.#unexpected('in string literal')
      if (character !== '\\') continue
      const escape = this.#text[++this.#offset] ?? ''
      if (!'"\\/bfnrtu'.includes(escape)) return this.#unexpected('in string escape code')
      if (escape !== 'u') continue
      const digits = /^[0-9a-fA-F]{0,4}/.exec(this.#text.slice(this.#offset + 1, this.#offset + 5))?.[0] ?? ''
      this.#offset += digits.length
      if (digits.length === 4) continue
      this.#offset++
      return this.#unexpected('in \\u hexadecimal character escape')
    }
    return this.#unexpected('in string literal')
  }

  #unexpected(where: string): SyntaxError {
    const point = this.#text.codePointAt(this.#offset)
    if (point === undefined) return new SyntaxError('unexpected end of JSON input')
    return new SyntaxError(`invalid character ${shown(point)} ${where}`)
  }
}

/** Go reads bytes: of a character beyond ASCII it shows the first byte, as if that were a character. */
function shown(point: number): string {
  if (point === 0x27) return "'\\''"
  if (point === 0x22) return "'\"'"
  const byte = String.fromCharCode(utf8(String.fromCodePoint(point))[0] ?? 0)
  return `'${JSON.stringify(byte).slice(1, -1)}'`
}
