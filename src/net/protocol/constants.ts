/** libp2p protocol of the peer service: gRPC over HTTP/2 with prior knowledge, in one libp2p stream. */
export const PROTOCOL = '/thread/0.0.1'

const MIB = 1024 * 1024

/** Largest message either side takes, as in grpc-go. */
export const MAX_MESSAGE_BYTES: number = 4 * MIB
/** Largest reply to GetRecords; leaves room for what goes with the records. One record alone may be larger. */
export const MAX_REPLY_BYTES: number = 3 * MIB
/** Bytes of requests held for one peer until they are answered. Beyond, reading from it stops. */
export const MAX_PEER_BYTES: number = 8 * MIB
/** The same for all peers together. */
export const MAX_HOST_BYTES: number = 64 * MIB
/** Calls of all peers under way or waiting at once. Each may hold 64 KiB before it is read. */
export const MAX_HOST_CALLS = 1024
/** Sessions of one peer, over all its connections. A peer needs one; the oldest may be dead without our knowing. */
export const MAX_PEER_SESSIONS = 8
/** Calls of one peer under way at once. go-threads sets no limit; HTTP/2 makes further calls wait at the caller. */
export const MAX_PEER_CALLS = 64
/** Threads in one ExchangeEdges; go-threads sends 10. */
export const MAX_EDGE_ENTRIES = 1000
/** Time for one call, and for a peer to send its request, as go-threads. */
export const CALL_TIMEOUT_MS = 10_000
/** Connections to peers being set up at once. */
export const MAX_DIALS = 16
/** A session without calls is closed after this. */
export const SESSION_IDLE_MS: number = 5 * 60_000
/** Path of the one call that is a stream in both directions. */
export const SYNC_PATH = '/net.pb.Service/Sync'
/** Streams of Sync with all peers together; with one peer there is one. */
export const MAX_SYNC_STREAMS = 64
