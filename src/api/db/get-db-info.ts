import { addressToBytes } from '../../core/address.ts'
import { threadKeyToBytes } from '../../core/thread-key.ts'
import type { DbInfo } from '../../db/index.ts'
import { callOptions } from '../decode.ts'
import type { GetDBInfoReply, GetDBInfoRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function getDbInfo(request: GetDBInfoRequest, context: RpcContext): Promise<GetDBInfoReply> {
  const database = await openDatabase(request, context)
  return dbInfoReply(await database.info(callOptions(context)))
}

export function dbInfoReply({ addresses, key, name }: DbInfo): GetDBInfoReply {
  return { addrs: addresses.map(addressToBytes), key: threadKeyToBytes(key), name, addresses: [...addresses] }
}
