/**
 * Typed databases of a daemon, for Node from version 22 on and for browsers.
 *
 * @example
 * const client = connect('http://127.0.0.1:6007', { identity: generateIdentityKey() })
 * const db = await client.create({ name: 'zoo' })
 * const animals = await db.createCollection({
 *   name: 'Animal',
 *   schema: { properties: { _id: { type: 'string' }, name: { type: 'string' } }, required: ['_id', 'name'] },
 * })
 * await animals.create({ name: 'Ada' })
 * console.log(await animals.find({ name: 'Ada' }))
 */
export { type ErrorCode, ThreadsError } from '../core/errors.ts'
export type {
  AnyDocument,
  ChangeKind,
  Client,
  Collection,
  CollectionConfig,
  CollectionInfo,
  CollectionReader,
  CollectionWriter,
  Database,
  DatabaseInfo,
  DocumentOf,
  Filter,
  FindOptions,
  FindResult,
  IndexConfig,
  JoinDatabaseOptions,
  ListenFilter,
  NewDatabaseOptions,
  NewDocument,
  PatchOperation,
  ReadTransaction,
  Sort,
  Stored,
  Update,
  Updates,
  WriteTransaction,
} from '../documents/index.ts'
export { connect, type ConnectOptions } from './connect.ts'
export { generateIdentityKey, type IdentityKey, parseIdentityKey, type SecretIdentityKey } from './identity.ts'
