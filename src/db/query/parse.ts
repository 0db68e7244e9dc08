/** The query language of go-threads: JSON whose member names match in any case. Nothing else here knows it. */
import { textOfUtf8 } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import { GoDecoder, goStruct } from '../schema/go-json.ts'
import type { JsonNode } from '../schema/json-node.ts'
import { readJson } from '../schema/json-syntax.ts'
import type { Comparison, Criterion, Query } from './query.ts'

/** Larger queries are refused. */
export const MAX_QUERY_BYTES: number = 1024 * 1024
const LIMITS = { depth: 100, nodes: 100_000 }

/** By their numbers. */
const OPERATIONS: readonly Comparison[] = ['eq', 'ne', 'gt', 'lt', 'ge', 'le']

const QUERY = goStruct('Query', 'db.Query', ['Ands', 'Ors', 'Sort', 'Seek', 'Limit', 'Skip', 'Index'])
const CRITERION = goStruct('Criterion', 'db.Criterion', ['FieldPath', 'Operation', 'Value'])
const VALUE = goStruct('Value', 'db.Value', ['String', 'Bool', 'Float'])
const SORT = goStruct('Sort', 'db.Sort', ['FieldPath', 'Desc'])

/** Reads a query. JSON null is the empty query. Throws INVALID_QUERY. */
export function parseQuery(bytes: Uint8Array): Query {
  if (bytes.length > MAX_QUERY_BYTES) throw invalidQuery(`invalid query: more than ${MAX_QUERY_BYTES} bytes`)
  let node: JsonNode
  try {
    node = readJson(textOfUtf8(bytes), LIMITS)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw invalidQuery(cause instanceof RangeError ? `invalid query: ${reason}` : reason, cause)
  }
  const decoder = new GoDecoder()
  const query = readQuery(node, decoder)
  if (decoder.problem !== undefined) throw invalidQuery(decoder.problem)
  return query === undefined ? {} : checkedQuery(query)
}

interface RawQuery {
  ands: (RawCriterion | undefined)[]
  ors: (RawQuery | undefined)[]
  sort: { path: string; desc: boolean }
  seek: string
  limit: number
  skip: number
  index: string
}

interface RawCriterion {
  path: string
  operation: number
  value: { string?: string | undefined; bool?: boolean | undefined; float?: number | undefined }
}

function readQuery(node: JsonNode, decoder: GoDecoder): RawQuery | undefined {
  const query: RawQuery = {
    ands: [],
    ors: [],
    sort: { path: '', desc: false },
    seek: '',
    limit: 0,
    skip: 0,
    index: '',
  }
  const read = decoder.object(node, QUERY, (member, value) => {
    switch (member) {
      case 'Ands':
        query.ands = decoder.list(value, '[]*db.Criterion', (item) => readCriterion(item, decoder)) ?? []
        break
      case 'Ors':
        query.ors = decoder.list(value, '[]*db.Query', (item) => readQuery(item, decoder)) ?? []
        break
      case 'Sort':
        readSort(value, query.sort, decoder)
        break
      case 'Seek':
        query.seek = decoder.string(value, 'db.InstanceID') ?? query.seek
        break
      case 'Limit':
        query.limit = decoder.integer(value) ?? query.limit
        break
      case 'Skip':
        query.skip = decoder.integer(value) ?? query.skip
        break
      case 'Index':
        query.index = decoder.string(value) ?? query.index
        break
    }
  })
  return read ? query : undefined
}

function readSort(node: JsonNode, sort: RawQuery['sort'], decoder: GoDecoder): void {
  decoder.object(node, SORT, (member, value) => {
    if (member === 'FieldPath') sort.path = decoder.string(value) ?? sort.path
    else sort.desc = decoder.boolean(value) ?? sort.desc
  })
}

function readCriterion(node: JsonNode, decoder: GoDecoder): RawCriterion | undefined {
  const criterion: RawCriterion = { path: '', operation: 0, value: {} }
  const read = decoder.object(node, CRITERION, (member, value) => {
    if (member === 'FieldPath') criterion.path = decoder.string(value) ?? criterion.path
    else if (member === 'Operation') criterion.operation = decoder.integer(value, 'db.Operation') ?? criterion.operation
    else readValue(value, criterion.value, decoder)
  })
  return read ? criterion : undefined
}

function readValue(node: JsonNode, value: RawCriterion['value'], decoder: GoDecoder): void {
  decoder.object(node, VALUE, (member, given) => {
    if (member === 'String') value.string = decoder.string(given)
    else if (member === 'Bool') value.bool = decoder.boolean(given)
    else value.float = decoder.float(given)
  })
}

function checkedQuery({ ands, ors, sort, seek, limit, skip, index }: RawQuery): Query {
  return {
    ...(ands.length > 0 && { ands: ands.map(checkedCriterion) }),
    ...(ors.length > 0 && { ors: ors.map(checkedAlternative) }),
    ...(sort.path !== '' && { sort }),
    ...(seek !== '' && { seek }),
    ...(limit > 0 && { limit }),
    ...(skip > 0 && { skip }),
    ...(index !== '' && { index }),
  }
}

function checkedAlternative(query: RawQuery | undefined): Query {
  if (query === undefined) throw invalidQuery('invalid query: an alternative is null')
  return checkedQuery(query)
}

function checkedCriterion(criterion: RawCriterion | undefined): Criterion {
  const given = criterion === undefined ? {} : criterion.value
  const values = Object.values(given).filter((value) => value !== undefined)
  const [value] = values
  if (criterion === undefined || value === undefined || values.length > 1) {
    throw invalidQuery('invalid query: value type should describe exactly one type')
  }
  const operation = OPERATIONS[criterion.operation]
  if (operation === undefined) throw invalidQuery(`invalid query: unknown operation ${criterion.operation}`)
  return { path: criterion.path, operation, value }
}

function invalidQuery(message: string, cause?: unknown): ThreadsError {
  return new ThreadsError('INVALID_QUERY', message, { cause })
}
