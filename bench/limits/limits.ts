/** What this machine can do at best, with the same libraries. */
import type { Work } from '../measure.ts'
import { cryptoLimits, type CryptoLimits } from './crypto.ts'
import { diskLimits, type DiskLimits } from './disk.ts'
import { grpcLimits, type GrpcLimits } from './echo.ts'
import { type PeerLimits, peerLimits } from './peer-stream.ts'

export interface Limits extends CryptoLimits, DiskLimits, GrpcLimits, PeerLimits, AsyncDisposable {
  /** All of them that need no more to be said, in the order of the table. */
  readonly all: readonly Work[]
}

/** Takes a directory for the files that it writes. */
export async function openLimits(directory: string): Promise<Limits> {
  await using opening = new AsyncDisposableStack()
  const crypto = cryptoLimits()
  const disk = opening.use(await diskLimits(directory, crypto))
  const grpc = opening.use(await grpcLimits(disk))
  const peer = opening.use(await peerLimits())
  const opened = opening.move()
  const { sign, verify, encrypt, author } = crypto
  const { fsync, synced, unsynced, create, receive, batch, get, scan } = disk
  const { call, callMany, roundTrip, stream } = grpc
  return {
    ...crypto,
    ...disk,
    ...grpc,
    ...peer,
    all: [
      sign,
      verify,
      encrypt,
      author,
      fsync,
      synced,
      unsynced,
      create,
      receive,
      batch,
      get,
      scan,
      call,
      callMany,
      roundTrip,
      stream,
      peer.peerStream,
    ],
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
