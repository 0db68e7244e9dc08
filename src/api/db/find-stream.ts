import { parseQuery } from '../../db/index.ts'
import type { FindReply, FindRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

/** Documents of one reply, or one that is larger. */
const REPLY_BYTES = 256 * 1024

export async function* findStream(request: FindRequest, context: RpcContext): AsyncGenerator<FindReply> {
  const collection = await openCollection(request, context)
  const query = parseQuery(request.queryJSON)
  const documents = await context.inTurn(() => collection.find(query))
  context.hold(bytesOf(documents))
  for (let start = 0; start < documents.length; ) {
    const end = endOfReply(documents, start)
    const instances = documents.slice(start, end)
    yield { instances, transactionError: '' }
    context.hold(-bytesOf(instances))
    start = end
  }
}

/** Where the reply ends that begins with the document at `start`. */
function endOfReply(documents: readonly Uint8Array[], start: number): number {
  let bytes = 0
  for (let end = start; end < documents.length; end++) {
    bytes += documents[end]?.length ?? 0
    if (bytes > REPLY_BYTES) return Math.max(end, start + 1)
  }
  return documents.length
}

function bytesOf(documents: readonly Uint8Array[]): number {
  return documents.reduce((sum, { length }) => sum + length, 0)
}
