/** The parts of docs/compatibility.md that follow from tables of the tests and the daemon. */
import { status } from '@grpc/grpc-js'
import { OTHER_SETTINGS, SETTINGS } from '../../daemon/settings.ts'
import { ANSWERS_TO_CRASHES, type Difference as RpcDifference, DIFFERENCES } from '../integration/rpc-differences.ts'
import * as tables from '../interop/differences.ts'
import { SCRIPT } from './rpc-script.ts'
import { readProject } from './sources.ts'

/** Flags of go-threads with their defaults. */
const FLAGS_OF_ORIGINAL: Readonly<Record<string, string>> = {
  repo: '.threads',
  hostAddr: '/ip4/0.0.0.0/tcp/4006',
  announceAddr: '',
  apiAddr: '/ip4/127.0.0.1/tcp/6006',
  apiProxyAddr: '/ip4/127.0.0.1/tcp/6007',
  connLowWater: '100',
  connHighWater: '400',
  connGracePeriod: '20s',
  keepAliveInterval: '5s',
  disableNetPulling: 'false',
  netPullingLimit: '10000',
  netPullingStartAfter: '1s',
  netPullingInitialInterval: '1s',
  netPullingInterval: '10s',
  disableExchangeEdgesMigration: 'false',
  enableNetPubsub: 'false',
  mongoUri: '',
  mongoDatabase: '',
  badgerLowMem: 'false',
  debug: 'false',
  logFile: '',
}

/** Vector files, with the differences of their cases. */
export const VECTOR_TABLES: readonly { file: string; what: string; rows: readonly CaseRow[] }[] = [
  { file: 'validators.json', what: 'which functions are accepted', rows: rowsOf(tables.FUNCTIONS) },
  { file: 'validators.json', what: 'what functions answer', rows: rowsOf(tables.VALIDATORS) },
  { file: 'validators.json', what: 'where go-threads ends', rows: rowsOf(tables.VALIDATOR_CRASHES) },
  { file: 'reduce.json', what: 'what records lead to', rows: rowsOf(tables.REDUCE) },
  { file: 'queries.json', what: 'what queries answer', rows: rowsOf(tables.QUERIES) },
  { file: 'schemas.json', what: 'which documents fit', rows: rowsOf([...tables.SCHEMAS, ...tables.SCHEMA_FAULTS]) },
  { file: 'exchange.json', what: 'what peers are answered', rows: exchangeRows() },
  { file: 'records.json', what: 'which records are taken', rows: rowsOf(tables.RECORDS) },
  { file: 'crypto.json', what: 'which signatures count', rows: rowsOf(tables.CRYPTO) },
]

interface CaseRow {
  readonly reason: string
  readonly cases: readonly string[]
}

/** Names of the generated parts, and their text. */
export function generatedParts(): ReadonlyMap<string, string> {
  return new Map([
    ['answers', answerTable()],
    ['vectors', vectorTables()],
    ['flags', flagTable()],
  ])
}

/** The document with its generated parts as they must be. */
export function withGeneratedParts(text: string): string {
  let updated = text
  for (const [name, part] of generatedParts()) {
    const [before, after] = [`<!-- generated: ${name} -->\n`, '<!-- end -->']
    const start = updated.indexOf(before) + before.length
    const end = updated.indexOf(after, start)
    if (start < before.length || end < 0) throw new Error(`there is no place for the part ${name}`)
    updated = `${updated.slice(0, start)}\n${part}\n${updated.slice(end)}`
  }
  return updated
}

function answerTable(): string {
  const rows = DIFFERENCES.map((difference) => [
    lines(difference.cases.map((title) => code(title))),
    lines([...new Set(difference.cases.flatMap(answersOfGo))]),
    answerOfOurs(difference),
    difference.reason,
  ])
  const crashes = Object.entries(ANSWERS_TO_CRASHES).map(([title, answer]) => [
    code(title),
    'the process ends',
    answerOfOurs(answer as Partial<RpcDifference>),
    'no request may end the daemon',
  ])
  return table(['call', 'go-threads', 'here', 'because'], [...rows, ...crashes])
}

function answersOfGo(title: string): string[] {
  const cases = SCRIPT.cases.filter(({ method, name }) => `${method}: ${name}` === title)
  return cases.map((one) => {
    if (one.stillOpen === true) return 'goes on'
    return statusText(one.code ?? status.OK, one.message ?? '')
  })
}

/** What is said is what differs: code, text, replies or that the call goes on. */
function answerOfOurs({ code: ours, message, replies, open, skip, over }: Partial<RpcDifference>): string {
  const where = over === undefined ? '' : `over ${over}: `
  if (skip === true) return `${where}not compared`
  if (open === true) return `${where}goes on`
  if (ours !== undefined) return where + statusText(ours, message ?? '')
  return where + (message === undefined ? repliesText(replies) : `the text ${textOf(message)}`)
}

function repliesText(replies: readonly unknown[] = []): string {
  const text = JSON.stringify(replies)
  return text.length <= MAX_TEXT ? `replies ${code(text)}` : 'other replies'
}

function statusText(ours: number | undefined, message: unknown): string {
  const name = ours === undefined ? '' : status[ours]
  return [name, ours === status.OK ? '' : textOf(message)].filter(Boolean).join(' ')
}

/** A text, or what an asymmetric matcher asks for: a pattern or a part. */
function textOf(message: unknown): string {
  if (typeof message === 'string') return message === '' ? '' : code(shortened(message))
  const sample: unknown = typeof message === 'object' && message !== null && 'sample' in message ? message.sample : ''
  if (sample instanceof RegExp) return code(String(sample))
  return typeof sample === 'string' ? code(`…${sample}…`) : 'some text'
}

const MAX_TEXT = 120

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= MAX_TEXT ? line : `${line.slice(0, MAX_TEXT)}…`
}

function vectorTables(): string {
  return VECTOR_TABLES.map(({ file, what, rows }) => {
    const cells = rows.map(({ reason, cases }) => [lines(cases.map((name) => code(shortened(name)))), reason])
    return table([`\`${file}\`: ${what}`, 'because'], cells)
  }).join('\n\n')
}

function rowsOf(differences: readonly tables.Difference<unknown>[]): CaseRow[] {
  return differences.map(({ reason, answers }) => ({ reason, cases: Object.keys(answers) }))
}

function exchangeRows(): CaseRow[] {
  const { cases }: { cases: { scene: string }[] } = JSON.parse(readProject('test/interop/vectors/exchange.json'))
  return tables.EXCHANGE.map(({ reason, cases: places }) => ({
    reason,
    cases: [...new Set(places.map((place) => cases[place]?.scene ?? ''))],
  }))
}

function flagTable(): string {
  const known = Object.entries(FLAGS_OF_ORIGINAL).map(([name, byDefault]) => [
    code(`-${name}`),
    byDefault === '' ? '' : code(byDefault),
    effectOf(name),
  ])
  const added = Object.entries(SETTINGS).filter(([name]) => !Object.hasOwn(FLAGS_OF_ORIGINAL, name))
  const fresh = added.map(([name, flag]) => [
    code(`-${name}`),
    'not there',
    flag.default === '' ? flag.help : `${flag.help}; default ${code(flag.default)}`,
  ])
  return table(['flag', 'default of go-threads', 'here'], [...known, ...fresh])
}

function effectOf(name: string): string {
  const other = OTHER_SETTINGS[name]
  if (other !== undefined)
    return `${other.refused === true ? 'refused' : 'no effect, which a warning says'}: ${other.why}`
  const flag = Object.entries(SETTINGS).find(([each]) => each === name)?.[1]
  if (flag === undefined) throw new Error(`the daemon does not know the flag ${name}`)
  return flag.default === FLAGS_OF_ORIGINAL[name] ? flag.help : `${flag.help}; default ${code(flag.default)}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
}

function lines(texts: readonly string[]): string {
  return texts.join('<br>')
}

/** Inline code for a cell of a table. */
function code(text: string): string {
  const fence = text.includes('`') ? '``' : '`'
  const padded = fence === '``' ? ` ${text} ` : text
  return `${fence}${padded.replaceAll('|', String.raw`\|`)}${fence}`
}
