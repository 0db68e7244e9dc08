import { status } from '@grpc/grpc-js'
import { EMPTY_BYTES } from '../../core/bytes.ts'
import type { ListenFilter, Update } from '../../db/index.ts'
import { callOptions } from '../decode.ts'
import { RpcError } from '../errors.ts'
import { ListenReply, ListenReply_Action, type ListenRequest, type ListenRequest_Filter } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

const REPLY_ACTIONS = {
  created: ListenReply_Action.CREATE,
  saved: ListenReply_Action.SAVE,
  deleted: ListenReply_Action.DELETE,
} as const satisfies Record<Update['kind'], ListenReply_Action>

/** By their numbers in a request; the first means any. */
const FILTER_KINDS: readonly (Update['kind'] | undefined)[] = [undefined, 'created', 'saved', 'deleted']

/** Each is asked about each change, for as long as the call lasts. */
const MAX_FILTERS = 10_000

export async function* listen(request: ListenRequest, context: RpcContext): AsyncGenerator<ListenReply> {
  if (request.filters.length > MAX_FILTERS) {
    throw new RpcError(status.INVALID_ARGUMENT, `more than ${MAX_FILTERS} filters`)
  }
  const database = await openDatabase(request, context)
  const { tokens } = request
  const after = request.after.length > 0 ? request.after : database.resumeToken()
  const updates = database.listen(request.filters.map(filterOf), { ...callOptions(context), after })
  if (tokens) yield ListenReply.create({ token: after })
  for await (const update of updates) {
    // A change of what the caller may not see is none to him.
    if (update.document === undefined && update.kind !== 'deleted') continue
    yield {
      collectionName: update.collection,
      instanceID: update.id,
      action: REPLY_ACTIONS[update.kind],
      instance: update.document ?? EMPTY_BYTES,
      token: tokens ? update.token : EMPTY_BYTES,
    }
  }
}

function filterOf({ collectionName, instanceID, action }: ListenRequest_Filter): ListenFilter {
  if (!(action in FILTER_KINDS)) throw new RpcError(status.INVALID_ARGUMENT, `invalid filter action ${action}`)
  const kind = FILTER_KINDS[action]
  return {
    ...(collectionName === '' ? {} : { collection: collectionName }),
    ...(instanceID === '' ? {} : { id: instanceID }),
    ...(kind === undefined ? {} : { kind }),
  }
}
