import { EMPTY_BYTES, utf8 } from '../../core/bytes.ts'
import { callOptions, optionalBytesOf, pageLimitOf } from '../decode.ts'
import type { ListConflictsReply, ListConflictsRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function listConflicts(request: ListConflictsRequest, context: RpcContext): Promise<ListConflictsReply> {
  const limit = pageLimitOf(request.limit)
  const after = optionalBytesOf(request.after)
  const database = await openDatabase(request, context)
  const page = { ...callOptions(context), limit, ...(after === undefined ? {} : { after }) }
  const { conflicts, next } = await database.conflicts(request.collectionName, request.path, page)
  return {
    conflicts: conflicts.map(({ value, ids }) => ({ value: utf8(value), instanceIDs: [...ids] })),
    next: next ?? EMPTY_BYTES,
  }
}
