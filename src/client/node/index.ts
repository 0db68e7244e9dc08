/** For programs on Node only: calls over gRPC, also to daemons of go-threads. */
export { type CollectionConfig, DaemonClient, type LogHead, type ThreadState } from './daemon-client.ts'
