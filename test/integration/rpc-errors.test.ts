/** Every call whose outcome on a Go daemon is known, in order, against two daemons of ours. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'
import { grpcTransport, type Transport } from '../support/grpc-client.ts'
import {
  databaseWithDocuments,
  type Host,
  type Outcome,
  SCRIPT,
  type ScriptCase,
  ScriptRunner,
} from '../support/rpc-script.ts'
import { grpcWebTransport, webSocketTransport } from '../support/web-client.ts'
import { ANSWERS_TO_CRASHES, type Difference, DIFFERENCES, type TransportName } from './rpc-differences.ts'

const TRANSPORTS: readonly { name: TransportName; connect(daemon: TestDaemon): Transport }[] = [
  { name: 'gRPC', connect: ({ grpcAddress }) => grpcTransport(grpcAddress) },
  { name: 'grpc-websockets', connect: ({ webAddress }) => webSocketTransport(webAddress) },
  { name: 'gRPC-Web', connect: ({ webAddress }) => unaryOverHttp(webAddress) },
]

describe.each(TRANSPORTS)('vectors of rpc-errors.json over $name', ({ name: over, connect }) => {
  let daemons: TestDaemon[] = []
  let first: Host
  let runner: ScriptRunner

  beforeAll(async () => {
    daemons = await Promise.all([startDaemon(), startDaemon()])
    const [one, two] = daemons.map((daemon) => hostOf(daemon, connect(daemon)))
    if (one === undefined || two === undefined) throw new Error('two daemons are needed')
    first = one
    runner = new ScriptRunner(one, two)
  })

  afterAll(async () => {
    for (const daemon of daemons) await daemon[Symbol.asyncDispose]()
  })

  for (const [i, one] of SCRIPT.cases.entries()) {
    const title = titleOf(one)
    const difference = DIFFERENCES.find((each) => each.cases.includes(title) && (each.over ?? over) === over)
    // The minute without a signature passes on a clock of its own, in the unit test of GetToken.
    if (one.seconds !== undefined || difference?.skip === true) continue
    if (one.crash === true) {
      it(`${i} ${title} is answered`, async () => {
        const dbID = await databaseWithDocuments(first.transport, one.documents ?? [])
        const outcome = await runner.run({ ...one, request: { ...one.request, dbID } })
        expect(toldIn(outcome)).toEqual(ANSWERS_TO_CRASHES[title])
      })
    } else {
      it(`${i} ${title}`, async () => {
        expect(toldIn(await runner.run(one))).toEqual(toldBy(one, difference))
      })
    }
  }
})

it('every difference is one of a case there is', () => {
  const titles = new Set(SCRIPT.cases.map(titleOf))
  expect(DIFFERENCES.flatMap(({ cases }) => cases).filter((title) => !titles.has(title))).toEqual([])
})

function titleOf({ method, name }: ScriptCase): string {
  return `${method}: ${name}`
}

/** What a client can tell, but for what is another one in every run. */
function toldIn(outcome: Outcome): unknown {
  const replies = outcome.replies.map(lastingMembers)
  if (outcome.kind === 'open') return { open: true, replies }
  // Transports have different texts for OK.
  return { code: outcome.code, message: outcome.code === 0 ? '' : outcome.message, replies }
}

function toldBy(one: ScriptCase, { code, message, replies, open }: Partial<Difference> = {}): unknown {
  const expected = { ...one, ...one.expected }
  const expectedCode = code ?? expected.code
  const known = replies ?? one.replies?.map(lastingMembers) ?? (expectedCode === 0 ? [expectedReply(one)] : [])
  if (one.stillOpen === true || open === true) return { open: true, replies: known }
  return {
    code: expectedCode,
    message: expectedCode === 0 ? '' : (message ?? expected.message),
    replies: known,
  }
}

function expectedReply(one: ScriptCase): unknown {
  if (one.reply === undefined && one.expected === undefined) return expect.anything()
  return lastingMembers({
    ...one.reply,
    ...(one.expected?.exists === undefined ? {} : { exists: one.expected.exists }),
  })
}

/** Members whose value does not depend on the run, of a reply or of the reply inside a transaction. Defaults are left out. */
function lastingMembers(reply: object): unknown {
  const entries = Object.entries(reply).flatMap(([name, value]): [string, unknown][] => {
    if (name.endsWith('Reply')) return [[name, lastingMembers(value)]]
    if (!['transactionError', 'exists', 'name', 'action'].includes(name)) return []
    return value === '' || value === false ? [] : [[name, value]]
  })
  return Object.fromEntries(entries)
}

function hostOf(daemon: TestDaemon, transport: Transport): Host {
  const [, port] = /\/tcp\/(\d+)/.exec(daemon.hostAddress) ?? []
  return { peerId: daemon.peerId, port: Number(port), transport }
}

/** gRPC-Web over HTTP where a call can be made with it: streams of requests take the websocket. */
function unaryOverHttp(url: string): Transport {
  const http = grpcWebTransport(url)
  const sockets = webSocketTransport(url)
  return {
    open: (path, options) => (/GetToken|Transaction/.test(path) ? sockets : http).open(path, options),
    [Symbol.dispose]: () => {},
  }
}
