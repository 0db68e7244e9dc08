/** Reads JSON into typed values by the rules of Go's decoder, and refuses in its words. */
import type { JsonMember, JsonNode } from './json-node.ts'

/** An object as Go knows it. */
export interface GoStruct<Member extends string> {
  /** What it is called in messages, as the owner of a member. */
  readonly name: string
  /** What it is called in messages, as the type of a value. */
  readonly type: string
  /** Names of its members, by their form in lower case: names match in any case. */
  readonly members: ReadonlyMap<string, Member>
}

export function goStruct<Member extends string>(
  name: string,
  type: string,
  members: readonly Member[],
): GoStruct<Member> {
  return { name, type, members: new Map(members.map((member) => [member.toLowerCase(), member])) }
}

/** Text of a whole number, as it may stand for an int64. */
const WHOLE = /^-?[0-9]+$/
const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

/**
 * A value of a wrong type is passed over; the first one is told by {@link GoDecoder.problem} once everything was read.
 * A JSON null is the absent value everywhere. Of repeated members the last counts, but objects are read into one.
 */
export class GoDecoder {
  readonly #path: string[] = []
  #struct = ''
  #problem: string | undefined

  get problem(): string | undefined {
    return this.#problem
  }

  /** Hands the members that the struct has to `read`; `false` if the value is no object. */
  object<Member extends string>(
    node: JsonNode,
    struct: GoStruct<Member>,
    read: (member: Member, value: JsonNode) => void,
  ): boolean {
    const members = this.#membersOf(node, struct.type)
    if (members === undefined) return false
    const outer = this.#struct
    this.#struct = struct.name
    for (const { name, node: value } of members) {
      const known = struct.members.get(name.toLowerCase())
      if (known === undefined) continue
      this.#path.push(known)
      read(known, value)
      this.#path.pop()
    }
    this.#struct = outer
    return true
  }

  map<T>(node: JsonNode, type: string, read: (node: JsonNode) => T): Map<string, T> | undefined {
    const members = this.#membersOf(node, type)
    return members && new Map(members.map((member) => [member.name, read(member.node)]))
  }

  list<T>(node: JsonNode, type: string, read: (node: JsonNode) => T): T[] | undefined {
    if (node.kind !== 'array') return this.#refuse(node, type)
    return node.items.map(read)
  }

  string(node: JsonNode, type = 'string'): string | undefined {
    return node.kind === 'string' ? node.value : this.#refuse(node, type)
  }

  boolean(node: JsonNode): boolean | undefined {
    return node.kind === 'bool' ? node.value : this.#refuse(node, 'bool')
  }

  /** A whole number within 64 bits, as a double. */
  integer(node: JsonNode, type = 'int'): number | undefined {
    if (node.kind !== 'number') return this.#refuse(node, type)
    if (!isInt64(node.text)) return this.#refuse(node, type, `number ${node.text}`)
    return Number(node.text)
  }

  float(node: JsonNode): number | undefined {
    if (node.kind !== 'number') return this.#refuse(node, 'float64')
    const value = Number(node.text)
    return Number.isFinite(value) ? value : this.#refuse(node, 'float64', `number ${node.text}`)
  }

  #membersOf(node: JsonNode, type: string): readonly JsonMember[] | undefined {
    return node.kind === 'object' ? node.members : this.#refuse(node, type)
  }

  #refuse(node: JsonNode, type: string, given: string = node.kind): undefined {
    if (node.kind === 'null') return undefined
    const where = this.#struct === '' ? 'value' : `struct field ${[this.#struct, ...this.#path].join('.')}`
    this.#problem ??= `json: cannot unmarshal ${given} into Go ${where} of type ${type}`
    return undefined
  }
}

function isInt64(text: string): boolean {
  if (!WHOLE.test(text) || text.length > 20) return false
  const value = BigInt(text)
  return value >= MIN_INT64 && value <= MAX_INT64
}
