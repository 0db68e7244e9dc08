import { toHex } from '../../src/core/bytes.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { BackupCheck, type BackupChain, type BackupFrame } from '../../src/net/index.ts'
import type { BackupWriter } from './backup-file.ts'

export interface BackupRequest {
  /** Default: all threads. */
  readonly thread: ThreadId | undefined
  /** Chains with their heads, of which only what is behind is needed. */
  readonly known: readonly BackupChain[]
}

/** A daemon that can be asked for a backup. */
export interface BackupSource {
  backup(request: BackupRequest): AsyncIterable<BackupFrame>
}

export interface CopyOptions {
  /** All chains of the backup before. */
  readonly held: readonly BackupChain[]
  /** Of the backup before. */
  readonly storeId: string | undefined
}

export interface CopiedBackup {
  readonly storeId: string
  readonly seq: number
  readonly takenAt: string
  readonly threads: number
  readonly logs: number
  readonly records: number
}

/**
 * Writes the frames of a daemon. All of them are looked at here, as a restore would: a backup that cannot be restored is
 * none. Throws INVALID_BACKUP.
 */
export async function copyBackup(
  frames: AsyncIterable<BackupFrame>,
  writer: BackupWriter,
  { held, storeId: expected }: CopyOptions,
): Promise<CopiedBackup> {
  const check = new BackupCheck(held)
  let storeId = ''
  let records = 0
  for await (const frame of frames) {
    records += check.take(frame)?.records.length ?? 0
    if (frame.$case === 'begin') {
      storeId = toHex(frame.value.storeID)
      if (expected !== undefined && expected !== storeId) throw otherStore()
    }
    await writer.write(frame)
  }
  const { begin } = check
  if (begin === undefined || !check.ended) throw new ThreadsError('INVALID_BACKUP', 'the daemon sent no end')
  const takenAt = new Date(Number(begin.takenAtMs)).toISOString()
  const counts = { threads: check.threads.length, logs: [...check.chains].length, records }
  return { storeId, seq: Number(begin.seq), takenAt, ...counts }
}

function otherStore(): ThreadsError {
  const hint = 'It was restored, or is another daemon: name a new directory.'
  return new ThreadsError('INVALID_BACKUP', 'the directory holds backups of another store than that of the daemon', {
    hint,
  })
}
