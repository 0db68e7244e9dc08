/** Rows of a backup, which may be damaged or made up: nothing is taken from them that was not looked at. */
import { equalBytes } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import { parsePeerId, peerIdFromBytes } from '../core/peer-id.ts'
import { SYMMETRIC_KEY_BYTES } from '../core/symmetric.ts'
import { type ThreadId, threadIdFromBytes } from '../core/thread-id.ts'
import type { BackupChain, BackupLog, BackupPeer, BackupThread } from './backup-frame.ts'
import type { ChainKey } from './chain-key.ts'
import { baseOf } from './chains.ts'
import { decodeKnown } from './peer-addresses.ts'
import { decodeLogRow, decodeThreadRow, encodeThreadRow, type LogState, type ThreadRow } from './rows.ts'
import { attests } from './vouch.ts'

/** Of the addresses of a peer: 16 of each kind are kept. */
const MAX_PEER_ROW_BYTES = 64 * 1024

export function invalidBackup(message: string, cause?: unknown): ThreadsError {
  return new ThreadsError('INVALID_BACKUP', message, cause === undefined ? {} : { cause })
}

/** A counter or number of a row. Throws INVALID_BACKUP unless it is a whole number that is not negative. */
export function countOf(value: bigint): number {
  if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
  throw invalidBackup(`${value} is no counter`)
}

export function threadIdIn(bytes: Uint8Array): ThreadId {
  return attempt('the id of a thread', () => threadIdFromBytes(bytes))
}

/** The thread as it is to be stored, under this number: its documents are yet to be made. Throws INVALID_BACKUP. */
export function threadInBackup({ threadID, row }: BackupThread, number: number): ThreadRow {
  const id = threadIdIn(threadID)
  return attempt(`the row of thread ${id}`, () => {
    const stored = decodeThreadRow(number, row)
    const { key, followers, keptFor, unsolicited, appData } = stored
    must(stored.id === id, 'it is of another thread')
    must(isKey(key.service) && (key.read === undefined || isKey(key.read)), 'its keys are no keys')
    for (const peer of keptFor === undefined ? followers : [...followers, keptFor]) parsePeerId(peer)
    must(typeof unsolicited === 'boolean', 'it does not say who keeps it')
    const thread = { ...stored, phase: 'live', writers: new Map(), stale: appData !== undefined } as const
    // What it also holds, this version must be able to write again.
    encodeThreadRow(thread)
    return thread
  })
}

/**
 * The log as it is to be stored: without records yet to count, and not written any more if it was written by the host.
 * `before` has the chains of the thread with lower numbers. Throws INVALID_BACKUP.
 */
export function logInBackup(
  { chain, row }: BackupLog & { chain: BackupChain },
  { thread, before }: { thread: ThreadRow; before: ReadonlyMap<ChainKey, LogState> },
): LogState {
  const number = countOf(chain.number)
  return attempt(`the row of log ${number} of thread ${thread.id}`, () => {
    const stored = decodeLogRow(number, row)
    const { head, cursor, branch, managed } = stored
    const counters = [head.counter, cursor.counter, baseOf(stored)]
    must(
      counters.every((each) => Number.isSafeInteger(each) && each >= 0),
      'its counters are no numbers',
    )
    const base = baseOf(stored)
    const fits = base === countOf(chain.base) && head.counter === countOf(chain.counter)
    must(fits && equalBytes(head.cid?.bytes ?? new Uint8Array(0), chain.head), 'it is not what stands beside it')
    must(base <= head.counter && cursor.counter <= head.counter, 'its counters contradict each other')
    must((head.cid === undefined) === (head.counter === base), 'its head is not what its counter says')
    must(cursor.time >= 0n, 'its time is before the beginning of time')
    must(!before.has(stored.chain), 'it is there twice')
    const parent = branch === undefined ? undefined : before.get(branch.parent)
    const follows = parent !== undefined && parent.id === stored.id && base <= parent.head.counter
    must(branch === undefined || follows, 'the chain it parts from is not there')
    requireAttested(thread, stored)
    must(typeof managed === 'boolean', 'it does not say who writes it')
    return { ...stored, privateKey: undefined, unpulled: false, retired: stored.retired || managed, bytes: 0 }
  })
}

/** A row can hold anything in its place. */
function isKey(bytes: unknown): boolean {
  return bytes instanceof Uint8Array && bytes.length === SYMMETRIC_KEY_BYTES
}

function requireAttested(thread: ThreadRow, log: LogState): void {
  const { attestation, head } = log
  if (attestation === undefined) return
  const { counter, cid } = head
  const place = cid && { log, counter, cid }
  must(
    place !== undefined && attests({ head: place.cid, signature: attestation }, thread, place),
    'its attestation does not hold',
  )
}

/** Throws INVALID_BACKUP. */
export function checkPeer({ peerID, row }: BackupPeer): void {
  attempt('the row of a peer', () => {
    peerIdFromBytes(peerID)
    must(row.length <= MAX_PEER_ROW_BYTES, 'it is too large')
    decodeKnown(row)
  })
}

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw invalidBackup(otherwise)
}

/** What `read` throws about a value, said of `what`. */
function attempt<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    // Rows are read as what they should be: any other value may fail anywhere.
    if (error instanceof ThreadsError || error instanceof TypeError || error instanceof RangeError) {
      throw invalidBackup(`${what} is damaged: ${error.message}`, error)
    }
    throw error
  }
}
