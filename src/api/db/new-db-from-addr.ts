import { parseAddress } from '../../core/address.ts'
import { checkSchema } from '../../db/index.ts'
import { addressOf, callOptions, collectionConfigOf, logKeyOf, threadKeyOf } from '../decode.ts'
import { invalid } from '../errors.ts'
import type { NewDBFromAddrRequest, NewDBReply } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'

export async function newDbFromAddr(request: NewDBFromAddrRequest, context: RpcContext): Promise<NewDBReply> {
  const address = request.address === '' ? addressOf(request.addr) : invalid(() => parseAddress(request.address))
  const key = threadKeyOf(request.key)
  const collections = request.collections.map(collectionConfigOf)
  for (const { schema } of collections) invalid(() => checkSchema(schema))
  await context.databases.join(address, {
    ...callOptions(context),
    ...logKeyOf(request.logKey),
    ...(request.name === '' ? {} : { name: request.name }),
    key,
    collections,
    block: request.block,
  })
  return {}
}
