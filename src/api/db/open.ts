import type { Collection, Database } from '../../db/index.ts'
import { callOptions, threadIdOf } from '../decode.ts'
import type { RpcContext } from '../service.ts'

/** The database a request names. */
export async function openDatabase(request: { dbID: Uint8Array }, context: RpcContext): Promise<Database> {
  const id = threadIdOf(request.dbID)
  return context.databases.get(id, callOptions(context))
}

/** The collection a request names. */
export async function openCollection(
  request: { dbID: Uint8Array; collectionName: string },
  context: RpcContext,
): Promise<Collection> {
  const database = await openDatabase(request, context)
  return database.collection(request.collectionName, callOptions(context))
}
