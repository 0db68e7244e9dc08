/**
 * Where this implementation answers otherwise than go-threads on purpose: cases of the vector files, with what is answered
 * here. The tests take their answers from these tables, and docs/compatibility.md is held to them.
 */
import type { JsonValue } from '../../src/db/json.ts'

export interface Difference<Answer> {
  /** Ends the sentence "it is otherwise because …". */
  readonly reason: string
  /** By name of the case. */
  readonly answers: Readonly<Record<string, Answer>>
}

/** What a table says of a case, if it names it. */
export function answerIn<Answer>(table: readonly Difference<Answer>[], name: string): Answer | undefined {
  return table.find(({ answers }) => Object.hasOwn(answers, name))?.answers[name]
}

/** The same answer for several cases. */
function each<Answer>(answer: Answer, names: readonly string[]): Record<string, Answer> {
  return Object.fromEntries(names.map((name) => [name, answer]))
}

/** Whether the signature counts. */
export const CRYPTO: readonly Difference<boolean>[] = [
  {
    reason: 'keys of small order would let one signature hold for many messages; no honest peer has one',
    answers: each(false, [
      'small-order key (identity point), R = identity, S = 0',
      'non-canonical encoding of the identity point as key, R = identity, S = 0',
    ]),
  },
]

/** Whether the record is taken. */
export const RECORDS: readonly Difference<boolean>[] = [
  {
    reason: 'a body key in the form of a private key was never written, and need not be read',
    answers: {
      'header plaintext: key is an ed25519 private-key protobuf, body sealed with NaCl box (signed anew); a reader may ignore this form': false,
    },
  },
]

/** The documents there are after the events. */
export const REDUCE: readonly Difference<Readonly<Record<string, JsonValue>>>[] = [
  {
    reason: 'a record that is not well formed is refused whole',
    answers: {
      'create of a document that is not JSON': {},
      'create of an array': {},
      'create whose document has another _id': {},
      'create of empty bytes': {},
      'empty id': {},
      'save whose patch is an array': { 'Dog/x': { _id: 'x', a: 1 } },
      'save that changes _id': { 'Dog/x': { _id: 'x', a: 1 } },
      'save that removes _id': { 'Dog/x': { _id: 'x', a: 1 } },
    },
  },
  {
    reason:
      'a create of an existing document merges and a delete of an absent one has no effect, so that writers who do not know of each other lose nothing',
    answers: {
      'create on a live instance': { 'Dog/x': { _id: 'x', a: 2 } },
      'create twice in one record': { 'Dog/x': { _id: 'x', a: 2 } },
      'create twice in two records': { 'Dog/x': { _id: 'x', a: 2 } },
      'a failing event drops the whole record': {
        'Dog/x': { _id: 'x' },
        'Dog/y': { _id: 'y' },
        'Dog/z': { _id: 'z' },
      },
      'delete of an unknown instance': {},
      'delete twice in one record': {},
      'delete of an unknown instance besides a create': { 'Dog/y': { _id: 'y' } },
    },
  },
  {
    reason: 'a patch without an id brings no document into being',
    answers: {
      'save of an unknown instance without _id in the patch': {},
      'save after delete revives a fragment': {},
    },
  },
  {
    reason: 'records have their place by time, not by arrival, and events of a record apply as they stand in it',
    answers: {
      'records apply in order of arrival, whatever their timestamps': { 'Dog/x': { _id: 'x', a: 'late' } },
      'events of one record are applied in order of timestamp': { 'Dog/x': { _id: 'x', a: 2, b: 2 } },
      'empty-map timestamps sort first': { 'Dog/x': { _id: 'x', a: 1 } },
    },
  },
  {
    reason: 'ids are texts and no paths',
    answers: {
      'ids are path parts': { 'Dog/../Cat/y': { _id: '../Cat/y' } },
      'id with a slash': { 'Dog/a/b': { _id: 'a/b' } },
      'id .': { 'Dog/.': { _id: '.' } },
    },
  },
  {
    reason: 'arrays are values: nulls in them stay',
    answers: {
      'nulls in a create are kept, in a save dropped': {
        'Dog/x': { _id: 'x', a: null, b: [null, 1], d: [null, 1], e: {} },
      },
    },
  },
]

/** Whether the instance is valid, by names of the case and the instance. */
export const SCHEMAS: readonly Difference<boolean>[] = [
  {
    reason: 'member names are case-sensitive, so a new id is given',
    answers: each(true, ['default {"_ID":"b"}', 'default {"_Id":5}']),
  },
  {
    reason: 'numbers are finite doubles',
    answers: {
      'big integers {"a":1e400}': false,
      'minimum and maximum {"a":10.0000000000000001}': true,
    },
  },
  {
    reason: 'what was read can be saved back, with the `_mod` it came with',
    answers: each(true, [
      'as the Go client reflects a struct {"name":"x","_mod":1}',
      'additionalProperties false {"_mod":1}',
    ]),
  },
]

/** Whether the instances of the case that go-threads judges wrongly are valid. */
export const SCHEMA_FAULTS: readonly Difference<boolean>[] = [
  {
    reason: 'keywords that are dropped from the schema that is shown are enforced all the same',
    answers: each(false, [
      'maxLength 0 is dropped',
      'minimum 0 is dropped',
      'maximum 0 is dropped',
      'maxItems 0 is dropped',
      'contains',
      'propertyNames',
      'const',
      'if then else',
    ]),
  },
  {
    reason: 'a format says nothing of values that are no strings, and a limit of 0 is a limit',
    answers: each(true, ['exclusiveMinimum with minimum 0', 'format email without type: not a string']),
  },
]

/** What is answered, of all that the caller is shown. */
export const QUERIES: readonly Difference<(shown: readonly string[]) => readonly string[]>[] = [
  {
    reason: 'a query is judged on what the read filter shows: else callers could find out what they may not see',
    answers: {
      'read filter: criterion on the stored, not the shown name': () => [],
      'read filter: criterion on the shown name': (shown) => shown,
      'read filter: sorted by the stored n': (shown) => shown,
      'read filter: sorted by the stored n, limit 3': (shown) => shown.slice(0, 3),
    },
  },
  { reason: 'alternatives count where they stand alone', answers: { 'only ors': () => ['d173'] } },
]

/** Cases by their place in the file. What is answered stands in the test, as it takes hosts to say. */
export const EXCHANGE: readonly { readonly reason: string; readonly cases: readonly number[] }[] = [
  {
    reason:
      'the records directly after those of the caller are sent, so that there is no gap to be filled by other means',
    cases: [41, 42],
  },
  { reason: 'a service key that is sent is compared', cases: [60] },
  { reason: 'a pusher is not kept waiting for records that are missing: they are pulled from it', cases: [79] },
  { reason: "a first record gives way to another only if the log's key vouches for that one", cases: [83] },
  { reason: 'edges are told only to peers that have shown the service key', cases: [87, 89] },
]

const DENIED = 'app denied net record body'
/** The identity of the host in the vectors. */
export const HOST = 'bbaareihkjjwghyu4kifl55kqpmjs5rpzsvdxnlv6xz5zeqq65jurirwsfq'

/** Whether the function is accepted. */
export const FUNCTIONS: readonly Difference<boolean>[] = [
  {
    reason: 'the language is a newer one, and a comment ends with its line',
    answers: each(true, [
      'a comment only',
      'trailing line comment eats the closing brace',
      'body: let a = 1',
      'body: const a = 1; return true',
      'body: return () => true',
      'body: return `x`',
      'body: class A {}',
      'body: async function f() {}',
      'body: var {a} = {a:1}',
      'body: for (var x of [1]) {}',
      'body: return 0b1',
      'body: return a ?? b',
      'body: return a?.b',
      'body: return 2 ** 3',
      'body: return new.target',
      'body: return /(?<n>a)/',
      'let',
    ]),
  },
  {
    reason: 'a body ends where its function ends',
    answers: each(false, ['closing brace and a second function', 'closing brace and code that runs at load']),
  },
]

/** Answers by step of the case; `ok` stands for no error and no result. */
export const VALIDATORS: readonly Difference<Readonly<Record<number, string>>>[] = [
  {
    reason: 'functions get values, unchanged, and their own text stays as it was sent',
    answers: {
      'validator returns this': { 0: `${DENIED}: map[]` },
      'tabs are removed, also inside strings': { 0: DENIED },
      'tab that separates tokens': { 0: 'ok' },
      'quotes and backslashes in data': {
        0: `${DENIED}: "it's"`,
        1: `${DENIED}: "say \\"hi\\""`,
        2: `${DENIED}: "back\\\\slash"`,
        3: `${DENIED}: "line\\nbreak"`,
        7: `${DENIED}: "\\u0000"`,
        8: `${DENIED}: "'+(function(){return 'pwned'})()+'"`,
        10: 'the document has a number out of range',
      },
      'quote in the stored instance': { 0: 'ok' },
      'quote in an id': { 0: 'ok' },
      'quotes and backslashes in stored data': {
        1: `{"_id":"a","_mod":$NS,"s":"it's"}`,
        3: '{"_id":"b","_mod":$NS,"s":"q\\"q"}',
        5: '{"_id":"c","_mod":$NS,"s":"b\\\\b"}',
        7: '{"_id":"d","_mod":$NS,"s":"n\\nn"}',
      },
      'the example of the js client: deny on a name': { 4: DENIED },
    },
  },
  {
    reason: 'verify asks what the write would ask, with the host as the writer where there is no token',
    answers: {
      'typeof writer in verify without a token': { 0: `${DENIED}: string` },
      'writer, by host and by users': { 3: `${DENIED}: ${HOST}` },
      'verify of an unknown instance is a save, not a create': { 0: `${DENIED}: create` },
    },
  },
  {
    reason: 'what the read filter hides is as if it were not there, and does not end the query',
    answers: {
      'hidden from all but one': { 7: 'instance not found' },
      'hidden first match, no limit': { 2: '[{"_id":"b","_mod":$NS,"n":2}]' },
    },
  },
  {
    reason: 'no state stays from one call to the next, and nothing is left to chance: all hosts must judge alike',
    answers: {
      'tampering with a built-in stays': { 1: `${DENIED}: create` },
      'globals persist between calls': { 2: 'ok', 3: 'ok' },
      'this is the global object': { 1: `${DENIED}: flag 1` },
      'validator and filter share one engine': { 1: '{"s":"unset"}' },
      '_validate is visible': { 0: `${DENIED}: functionundefined` },
      'runs: return typeof Date.now() + typeof Math.random()': {
        0: 'running write validator func: Error: Math.random',
      },
    },
  },
  {
    reason: 'the language is a newer one',
    answers: {
      'body: return typeof Symbol': { 0: `${DENIED}: function` },
      'runs: return new Map()': { 0: `${DENIED}: map[]` },
      'runs: return new Set()': { 0: `${DENIED}: map[]` },
      'runs: return Promise.resolve(true)': { 0: `${DENIED}: map[]` },
      "runs: return ''.repeat(-1)": { 0: 'running write validator func: RangeError: count' },
      "runs: return 'abc'.includes('b')": { 0: 'ok' },
      "runs: return 'abc'.startsWith('a')": { 0: 'ok' },
      'runs: return [1].includes(1)': { 0: 'ok' },
      'runs: return Object.assign({}, {a:1}).a === 1': { 0: 'ok' },
      'runs: return [1,2].find(function(x){return x>1}) === 2': { 0: 'ok' },
      'runs: return Number.isInteger(5)': { 0: 'ok' },
      'runs: return typeof Symbol': { 0: `${DENIED}: function` },
      'runs: return typeof Uint8Array': { 0: `${DENIED}: function` },
      'runs: return typeof Proxy': { 0: `${DENIED}: function` },
      'runs: return typeof Reflect': { 0: `${DENIED}: object` },
      'runs: return typeof globalThis': { 0: `${DENIED}: object` },
      'runs: return typeof BigInt': { 0: `${DENIED}: function` },
      'runs: return Array.from([1]).length === 1': { 0: 'ok' },
      "runs: return 'x'.padStart(3)": { 0: `${DENIED}:   x` },
      'runs: return Object.keys({b:1,a:2,1:3}).join()': { 0: `${DENIED}: 1,b,a` },
    },
  },
  {
    reason: 'each engine may do it in its own way',
    answers: {
      "runs: return 'ß'.localeCompare('s')": { 0: `${DENIED}: 108` },
      'runs: return new Date(0).toString()': { 0: `${DENIED}: Thu Jan 01 1970 00:00:00 GMT+0000` },
    },
  },
]

/** Answers where the process of go-threads dies: to the create of a document, and to a look at it. */
export const VALIDATOR_CRASHES: readonly Difference<readonly [string, string]>[] = [
  {
    reason: 'a cyclic answer is an answer like others',
    answers: {
      'filter returns a cyclic object': ['ok', 'json: unsupported value: cyclic, or deeper than 128 levels'],
      'validator returns a cyclic object': [
        `${DENIED}: ${'map[a:'.repeat(11)}...${']'.repeat(11)}`,
        'instance not found',
      ],
    },
  },
]
