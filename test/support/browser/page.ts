/** What pages of the browser test have as `threads`: the client as its users bundle it, and what all tests begin with. */
import { Context } from '@textile/context'
import { PrivateKey } from '@textile/crypto'
import { Client } from '@textile/threads-client'
import { ThreadID } from '@textile/threads-id'

export { Where } from '@textile/threads-client'
export { Client, Context, PrivateKey, ThreadID }

const schema = {
  properties: { _id: { type: 'string' }, name: { type: 'string' }, age: { type: 'number' } },
  required: ['_id', 'name'],
}

/** A client with a token, and its new database with a collection named Person. */
export async function newDatabase(url: string, config: object = {}): Promise<{ client: Client; id: ThreadID }> {
  const client = new Client(new Context(url))
  await client.getToken(PrivateKey.fromRandom())
  const id = await client.newDB(ThreadID.fromRandom(), 'people')
  await client.newCollection(id, { name: 'Person', schema, ...config })
  return { client, id }
}
