import { checkSchema } from '../../db/index.ts'
import { callOptions, collectionConfigOf, logKeyOf, optionalThreadKeyOf, threadIdOf } from '../decode.ts'
import { invalid } from '../errors.ts'
import type { NewDBReply, NewDBRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'

export async function newDb(request: NewDBRequest, context: RpcContext): Promise<NewDBReply> {
  const id = threadIdOf(request.dbID)
  const collections = request.collections.map(collectionConfigOf)
  for (const { schema } of collections) invalid(() => checkSchema(schema))
  await context.databases.create(id, {
    ...callOptions(context),
    ...optionalThreadKeyOf(request.key),
    ...logKeyOf(request.logKey),
    ...(request.name === '' ? {} : { name: request.name }),
    collections,
  })
  return {}
}
