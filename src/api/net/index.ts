import { status } from '@grpc/grpc-js'
import { APIDefinition } from '../gen/threadsnet.ts'
import { getToken } from '../get-token.ts'
import { bidi, type RpcService, serverStream, unary } from '../service.ts'
import { addRecord } from './add-record.ts'
import { addReplicator } from './add-replicator.ts'
import { addThread } from './add-thread.ts'
import { backup } from './backup.ts'
import { createRecord } from './create-record.ts'
import { createThread } from './create-thread.ts'
import { deleteThread } from './delete-thread.ts'
import { getHostId } from './get-host-id.ts'
import { getRecord } from './get-record.ts'
import { getSyncStatus } from './get-sync-status.ts'
import { getThread } from './get-thread.ts'
import { pullThread } from './pull-thread.ts'
import { subscribe } from './subscribe.ts'

const rpc = APIDefinition.methods

/** Here an unknown thread has always been UNKNOWN. */
const codes = { THREAD_NOT_FOUND: status.UNKNOWN } as const

/** `threads.net.pb.API`. */
export const netService: RpcService<keyof APIDefinition['methods']> = {
  name: APIDefinition.fullName,
  methods: {
    getHostID: unary(rpc.getHostID, getHostId),
    getToken: bidi(rpc.getToken, getToken),
    createThread: unary(rpc.createThread, createThread, codes),
    addThread: unary(rpc.addThread, addThread, codes),
    getThread: unary(rpc.getThread, getThread, codes),
    pullThread: unary(rpc.pullThread, pullThread, codes),
    deleteThread: unary(rpc.deleteThread, deleteThread, codes),
    addReplicator: unary(rpc.addReplicator, addReplicator, codes),
    createRecord: unary(rpc.createRecord, createRecord, codes),
    addRecord: unary(rpc.addRecord, addRecord, { ...codes, INVALID_RECORD: status.INVALID_ARGUMENT }),
    getRecord: unary(rpc.getRecord, getRecord, codes),
    subscribe: serverStream(rpc.subscribe, subscribe, codes),
    getSyncStatus: unary(rpc.getSyncStatus, getSyncStatus),
    backup: serverStream(rpc.backup, backup, codes),
  },
}
