import { expect } from 'vitest'

export type TransportName = 'gRPC' | 'grpc-websockets' | 'gRPC-Web'

/** Where calls end otherwise than with a Go daemon, and why that is meant. */
export interface Difference {
  readonly reason: string
  /** Titles of the cases: method and name. */
  readonly cases: readonly string[]
  /** Default: over every transport. */
  readonly over?: TransportName
  /** Not run. */
  readonly skip?: boolean
  readonly code?: number
  /** A text, or an asymmetric matcher. */
  readonly message?: unknown
  readonly replies?: readonly unknown[]
  readonly open?: boolean
}

const OK = 0
const UNKNOWN = 2
const INVALID_ARGUMENT = 3

const notJson: unknown = expect.stringMatching(/^unmarshaling json instance: /)
const thrown: unknown = expect.stringMatching(/^running (write validator|read filter) func: boom/)

const UNKNOWN_METHODS = [
  'Nope: unknown method',
  'Nope: unknown service',
  'getDBInfo: method in lower case',
  'NewDB: service of the net API, method of the other',
]

const OF_TRANSPORTS: readonly Difference[] = [
  {
    reason: 'grpc-js answers a path it does not know by itself; nobody matches the text',
    cases: UNKNOWN_METHODS,
    over: 'gRPC',
    message: expect.stringContaining('The server does not implement the method'),
  },
  {
    reason: 'the upgrade to a websocket is refused with 403',
    cases: UNKNOWN_METHODS,
    over: 'grpc-websockets',
    skip: true,
  },
  { reason: 'there is a health service', cases: ['Check: health service'], code: OK },
  {
    reason: 'clients on Node do not send the header twice',
    cases: [
      'GetDBInfo: two authorization values: the first counts',
      'GetDBInfo: two authorization values, bad one first',
    ],
    over: 'gRPC',
    skip: true,
  },
  {
    reason: 'fetch sends two values as one, and no space at the end',
    cases: [
      'GetDBInfo: two authorization values: the first counts',
      'GetDBInfo: two authorization values, bad one first',
      'GetDBInfo: trailing space after the token',
      'GetDBInfo: control: bearer and an empty token',
    ],
    over: 'gRPC-Web',
    skip: true,
  },
  {
    reason: 'HTTP/2 strips the space',
    cases: ['GetDBInfo: trailing space after the token'],
    over: 'gRPC',
    code: OK,
    replies: [{ name: 'db-a' }],
  },
]

const OF_DATABASES: readonly Difference[] = [
  {
    reason: 'a database that could not be made leaves nothing behind',
    cases: ['NewDB: again after the failure', 'NewDBFromAddr: again, with the right key'],
    code: OK,
  },
  {
    reason: 'that database could be made after all',
    cases: ['GetDBInfo: info after the failure'],
    code: OK,
    replies: [{ name: 'unnamed' }],
  },
  {
    reason: 'collections nobody registered are folded too, so none is missing',
    cases: ['NewDBFromAddr: block, needed collection not passed'],
    code: OK,
  },
  {
    reason: 'a collection must have a name',
    cases: ['NewDB: control: empty collection name'],
    code: UNKNOWN,
    message: expect.stringContaining('name may only contain'),
  },
  {
    reason: 'documents are what the events say: they do not go with the definition of their collection',
    cases: ['Has: an instance of before'],
    replies: [{ exists: true }],
  },
  {
    reason: 'an id listed twice is deleted once',
    cases: ['Has: still there after it'],
    replies: [{}],
  },
  {
    reason: 'what the listener may not see is passed over',
    cases: ['Listen: an instance hidden from the caller is created'],
    open: true,
  },
]

const OF_DOCUMENTS: readonly Difference[] = [
  {
    reason: 'the text says what is wrong with the document',
    cases: [
      'Create: create " "',
      'Create: create "{"',
      'Create: create "{\\"_id\\":\\"x\\"} x"',
      'Save: not JSON',
      'Save: an array',
      'Save: a string',
      'Save: empty bytes',
      'Verify: not JSON',
    ],
    message: notJson,
  },
  {
    reason: 'the text says what is wrong with the document',
    cases: ['WriteTransaction: errors inside, the stream goes on and commits the rest'],
    replies: [
      { createReply: { transactionError: "can't create already existing instance" } },
      { createReply: { transactionError: notJson } },
      { createReply: { transactionError: expect.stringMatching(/^instance doesn't correspond to schema: age: /) } },
      { saveReply: { transactionError: 'invalid instance: missing _id attribute' } },
      { verifyReply: { transactionError: 'invalid instance: missing _id attribute' } },
      { findByIDReply: { transactionError: 'instance not found' } },
      { findReply: { transactionError: 'unexpected end of JSON input' } },
      { createReply: {} },
    ],
  },
  {
    reason: 'a document must be UTF-8, and its numbers must be numbers',
    cases: ['Create: create "{\\"_id\\":\\"u\\xff\\"}"', 'Create: number beyond float64'],
    code: UNKNOWN,
    message: expect.any(String),
  },
  {
    reason: 'that document was refused',
    cases: ['FindByID: that document by id'],
    code: UNKNOWN,
    message: 'instance not found',
  },
  { reason: 'that document was refused', cases: ['Save: a save over that document'], code: OK, replies: [{}] },
]

const OF_FUNCTIONS: readonly Difference[] = [
  {
    reason: 'another engine words syntax errors',
    cases: [
      'NewDB: validator does not compile',
      'NewCollection: validator does not compile',
      'UpdateCollection: validator does not compile',
    ],
    message: expect.stringMatching(/^compiling js func: SyntaxError: /),
  },
  { reason: 'the language is a newer one', cases: ['NewCollection: filter does not compile'], code: OK },
  {
    reason: 'another engine has other positions',
    cases: [
      'Create: validator throws a string',
      'FindByID: filter throws',
      'Has: filter throws',
      'Find: filter throws, first match hidden',
      'Find: filter throws',
    ],
    message: thrown,
  },
  {
    reason: 'another engine has other positions',
    cases: ['ReadTransaction: filter throws inside'],
    replies: [
      { hasReply: { transactionError: thrown } },
      { findByIDReply: { transactionError: thrown } },
      { findReply: { transactionError: thrown } },
      { findByIDReply: { transactionError: 'instance not found' } },
      { findByIDReply: {} },
    ],
  },
  {
    reason: 'another engine words the error',
    cases: ['Create: validator throws an error'],
    message: expect.stringMatching(/^running write validator func: ReferenceError: .*undefinedFunction.* not defined/),
  },
]

const OF_THREADS: readonly Difference[] = [
  {
    reason: 'a thread that could not be joined leaves nothing behind; libp2p words failures of its own',
    cases: [
      'NewDBFromAddr: unreachable peer',
      'NewDBFromAddr: again after the failure',
      'NewDBFromAddr: peer without any known address',
      'NewDBFromAddr: reachable address, another peer id',
      'AddThread: unreachable',
      'AddThread: unreachable, again',
      'AddReplicator: unreachable',
    ],
    message: expect.stringMatching(/^peer \w+ cannot be reached: /),
  },
  {
    reason: 'the texts were those of a CBOR library',
    cases: [
      'CreateRecord: body absent',
      'CreateRecord: body truncated',
      'CreateRecord: body not CBOR',
      'CreateRecord: body with duplicate keys',
      'AddRecord: record empty',
      'AddRecord: event node missing',
      'AddRecord: header node missing',
      'AddRecord: body node missing',
      'AddRecord: record node not CBOR',
    ],
    message: expect.stringMatching(/^malformed CBOR: /),
  },
  {
    reason: 'the texts were those of a CID library',
    cases: ['GetRecord: record id absent', 'GetRecord: record id not a CID', 'GetRecord: record id truncated'],
    message: 'malformed CID',
  },
  {
    reason: 'a record is read through its own thread, by the CID of a record, and at once',
    cases: [
      'GetRecord: control: the record through another thread with the same service key',
      'GetRecord: a record of a thread with another service key',
      'GetRecord: the CID of an event, not of a record',
      'GetRecord: record that is nowhere',
    ],
    code: UNKNOWN,
    message: expect.stringMatching(/^record \w+ is not here$/),
  },
  {
    reason: 'only records that follow the head are taken, and there is no network of blocks to ask',
    cases: ['AddRecord: prev that is nowhere'],
    message: 'the record before this one is not here; add it first',
  },
  {
    reason: 'a second record at a position is not taken from a client',
    cases: ['AddRecord: fork: a second first record of the log (8.3-19)'],
    code: UNKNOWN,
    message: expect.stringMatching(/^log \w+ has another record at this position$/),
  },
]

export const DIFFERENCES: readonly Difference[] = [
  ...OF_TRANSPORTS,
  ...OF_DATABASES,
  ...OF_DOCUMENTS,
  ...OF_FUNCTIONS,
  ...OF_THREADS,
]

const nullDocument = {
  code: UNKNOWN,
  message: expect.stringMatching(/^unmarshaling json instance: json: cannot unmarshal null /),
  replies: [],
}

/** What is answered to calls that end a Go daemon. */
export const ANSWERS_TO_CRASHES: Readonly<Record<string, unknown>> = {
  'NewCollection: config absent': { code: INVALID_ARGUMENT, message: 'collection config is required', replies: [] },
  'UpdateCollection: config absent': { code: INVALID_ARGUMENT, message: 'collection config is required', replies: [] },
  'Create: instance null': nullDocument,
  'Save: instance null': nullDocument,
  'Verify: instance null': nullDocument,
  'Find: criterion on a null value': { code: OK, message: '', replies: [{}] },
  'Find: sort by mixed types': {
    code: UNKNOWN,
    message: "sorting field doesn't correspond to instance type",
    replies: [],
  },
  'Find: operation 6': { code: UNKNOWN, message: 'invalid query: unknown operation 6', replies: [] },
  'Find: criterion null': {
    code: UNKNOWN,
    message: 'invalid query: value type should describe exactly one type',
    replies: [],
  },
  'AddRecord: record absent': { code: INVALID_ARGUMENT, message: 'record is required', replies: [] },
  'UpdateCollection: unique index over objects': {
    code: UNKNOWN,
    message: "can't create unique index (duplicate instances exist)",
    replies: [],
  },
}
