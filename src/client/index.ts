/** Calls to a running daemon. */
export { type CollectionConfig, DaemonClient, type LogHead, type ThreadState } from './daemon-client.ts'
