import { status } from '@grpc/grpc-js'
import { APIDefinition } from '../gen/threads.ts'
import { getToken } from '../get-token.ts'
import { bidi, type RpcService, serverStream, unary } from '../service.ts'
import { admitLog } from './admit-log.ts'
import { create } from './create.ts'
import { deleteInstances } from './delete.ts'
import { deleteCollection } from './delete-collection.ts'
import { deleteDb } from './delete-db.ts'
import { find } from './find.ts'
import { findById } from './find-by-id.ts'
import { findStream } from './find-stream.ts'
import { foundByIdReply, foundReply } from './found-replies.ts'
import { getCollectionIndexes } from './get-collection-indexes.ts'
import { getCollectionInfo } from './get-collection-info.ts'
import { getDbInfo } from './get-db-info.ts'
import { has } from './has.ts'
import { listCollections } from './list-collections.ts'
import { listConflicts } from './list-conflicts.ts'
import { listDbs } from './list-dbs.ts'
import { listRefusals } from './list-refusals.ts'
import { listWaitingLogs } from './list-waiting-logs.ts'
import { listen } from './listen.ts'
import { newCollection } from './new-collection.ts'
import { newDb } from './new-db.ts'
import { newDbFromAddr } from './new-db-from-addr.ts'
import { patch } from './patch.ts'
import { readTransaction } from './read-transaction.ts'
import { resetClock } from './reset-clock.ts'
import { save } from './save.ts'
import { skipRecord } from './skip-record.ts'
import { updateCollection } from './update-collection.ts'
import { verify } from './verify.ts'
import { writeTransaction } from './write-transaction.ts'

const rpc = APIDefinition.methods

/** `threads.pb.API`. */
export const dbService: RpcService<keyof APIDefinition['methods']> = {
  name: APIDefinition.fullName,
  methods: {
    getToken: bidi(rpc.getToken, getToken),
    newDB: unary(rpc.newDB, newDb),
    newDBFromAddr: unary(rpc.newDBFromAddr, newDbFromAddr, {
      COLLECTION_NOT_FOUND: status.UNKNOWN,
      THREAD_NOT_FOUND: status.UNKNOWN,
    }),
    listDBs: unary(rpc.listDBs, listDbs),
    getDBInfo: unary(rpc.getDBInfo, getDbInfo),
    deleteDB: unary(rpc.deleteDB, deleteDb),
    newCollection: unary(rpc.newCollection, newCollection),
    updateCollection: unary(rpc.updateCollection, updateCollection, { COLLECTION_NOT_FOUND: status.UNKNOWN }),
    deleteCollection: unary(rpc.deleteCollection, deleteCollection, { COLLECTION_NOT_FOUND: status.UNKNOWN }),
    getCollectionInfo: unary(rpc.getCollectionInfo, getCollectionInfo),
    getCollectionIndexes: unary(rpc.getCollectionIndexes, getCollectionIndexes),
    listCollections: unary(rpc.listCollections, listCollections),
    create: unary(rpc.create, create),
    verify: unary(rpc.verify, verify),
    save: unary(rpc.save, save),
    delete: unary(rpc.delete, deleteInstances),
    patch: unary(rpc.patch, patch),
    has: unary(rpc.has, has),
    find: unary({ ...rpc.find, responseType: foundReply }, find),
    findStream: serverStream({ ...rpc.findStream, responseType: foundReply }, findStream),
    findByID: unary({ ...rpc.findByID, responseType: foundByIdReply }, findById),
    readTransaction: bidi(rpc.readTransaction, readTransaction),
    writeTransaction: bidi(rpc.writeTransaction, writeTransaction),
    listen: serverStream(rpc.listen, listen),
    listRefusals: unary(rpc.listRefusals, listRefusals),
    listWaitingLogs: unary(rpc.listWaitingLogs, listWaitingLogs),
    listConflicts: unary(rpc.listConflicts, listConflicts, { INVALID_INDEX: status.INVALID_ARGUMENT }),
    admitLog: unary(rpc.admitLog, admitLog),
    skipRecord: unary(rpc.skipRecord, skipRecord),
    resetClock: unary(rpc.resetClock, resetClock),
  },
}
