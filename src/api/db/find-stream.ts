import { parseQuery } from '../../db/index.ts'
import type { FindReply, FindRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

/** Documents of one reply, or one that is larger. */
const REPLY_BYTES = 256 * 1024

export async function* findStream(request: FindRequest, context: RpcContext): AsyncGenerator<FindReply> {
  const collection = await openCollection(request, context)
  const query = parseQuery(request.queryJSON)
  const replies = await context.inTurn(async () => repliesOf(await collection.find(query)))
  for (const { bytes } of replies) context.hold(bytes)
  // What is sent is let go of.
  for (let next = replies.shift(); next !== undefined; next = replies.shift()) {
    yield { instances: next.instances, transactionError: '' }
    context.hold(-next.bytes)
  }
}

function repliesOf(documents: readonly Uint8Array[]): { instances: Uint8Array[]; bytes: number }[] {
  const replies: { instances: Uint8Array[]; bytes: number }[] = []
  for (const document of documents) {
    const last = replies.at(-1)
    if (last === undefined || last.bytes + document.length > REPLY_BYTES) {
      replies.push({ instances: [document], bytes: document.length })
    } else {
      last.instances.push(document)
      last.bytes += document.length
    }
  }
  return replies
}
