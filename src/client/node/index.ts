/** For programs on Node only: calls over gRPC, also to daemons of go-threads. */
export { BackupReply } from '../../api/gen/threadsnet.ts'
export {
  type CollectionConfig,
  type DaemonAccess,
  DaemonClient,
  type LogHead,
  type ThreadState,
} from './daemon-client.ts'
