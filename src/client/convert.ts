import type {
  CollectionConfig,
  GetCollectionInfoReply,
  GetDBInfoReply,
  ListenReply,
  ListenRequest_Filter,
} from '../api/gen/threads.ts'
import { ListenReply_Action, ListenRequest_Filter_Action } from '../api/gen/threads.ts'
import { textOfUtf8, utf8 } from '../core/bytes.ts'
import { encodeBase32 } from '../core/multibase.ts'
import type { DatabaseInfo, DriverConfig, DriverUpdate, ListenFilter } from '../documents/index.ts'

export function configMessage({ schema, ...config }: DriverConfig): CollectionConfig {
  return { ...config, schema: utf8(schema) }
}

export function configOf({ schema, ...config }: GetCollectionInfoReply): DriverConfig {
  return { ...config, schema: textOfUtf8(schema) }
}

export function infoOf(id: string, { name, key, addresses }: GetDBInfoReply): DatabaseInfo {
  return { id, name, key: encodeBase32(key), addresses }
}

const FILTER_ACTIONS = {
  created: ListenRequest_Filter_Action.CREATE,
  saved: ListenRequest_Filter_Action.SAVE,
  deleted: ListenRequest_Filter_Action.DELETE,
} as const

export function filterMessage({ collection = '', id = '', kind }: ListenFilter): ListenRequest_Filter {
  const action = kind === undefined ? ListenRequest_Filter_Action.ALL : FILTER_ACTIONS[kind]
  return { collectionName: collection, instanceID: id, action }
}

export function updateOf({ collectionName, instanceID, action, instance }: ListenReply): DriverUpdate {
  const place = { collection: collectionName, id: instanceID }
  if (action === ListenReply_Action.DELETE) return { ...place, kind: 'deleted', document: undefined }
  return { ...place, kind: action === ListenReply_Action.CREATE ? 'created' : 'saved', document: instance }
}
