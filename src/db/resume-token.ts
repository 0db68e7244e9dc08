import { concatBytes, equalBytes } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import { encodeVarint, readVarint } from '../core/varint.ts'

/** What tells the state of one database from any other. */
export interface StateId {
  /** Random, of the store. */
  readonly store: Uint8Array
  /** Host-local number. */
  readonly thread: number
  /** Of the derived rows: a rebuild may change documents without a commit that tells of it. */
  readonly generation: number
}

/** How far the commits of a host have been told. */
export interface Place {
  /** Number of the last commit that was told in full. */
  readonly seq: number
  /** Changes of the next one that were told, or passed over. */
  readonly changes: number
}

const VERSION = 1

export function encodeToken({ store, thread, generation }: StateId, { seq, changes }: Place): Uint8Array {
  const numbers = [thread, generation, Math.floor(seq / HALF), seq % HALF, changes].map(encodeVarint)
  return concatBytes(Uint8Array.of(VERSION, store.length), store, ...numbers)
}

/** Throws UPDATES_LOST for a token of another state, INVALID_ARGUMENT for what is no token. */
export function decodeToken(token: Uint8Array, state: StateId): Place {
  const [version, length = 0] = token
  if (version !== VERSION || token.length < 2 + length) throw invalid()
  const store = token.subarray(2, 2 + length)
  const numbers: number[] = []
  for (let offset = 2 + length; offset < token.length; ) {
    const varint = readVarint(token, offset)
    if (typeof varint === 'string' || varint.value >= HALF || numbers.length === NUMBERS) throw invalid()
    numbers.push(Number(varint.value))
    offset = varint.end
  }
  const [thread, generation, high = 0, low = 0, changes] = numbers
  if (changes === undefined) throw invalid()
  if (!equalBytes(store, state.store) || thread !== state.thread || generation !== state.generation) {
    throw updatesLost()
  }
  return { seq: high * HALF + low, changes }
}

export function updatesLost(): ThreadsError {
  return new ThreadsError('UPDATES_LOST', 'the listener is too far behind: updates are lost', {
    hint: 'Listen again and read the state.',
  })
}

const NUMBERS = 5
/** Numbers of commits are written in two parts: one varint here holds 32 bits. */
const HALF = 2 ** 32

function invalid(): ThreadsError {
  return new ThreadsError('INVALID_ARGUMENT', 'not a resume token')
}
