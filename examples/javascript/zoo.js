// A database of animals on one daemon, joined by another. See README.md beside this file.
import { setTimeout } from 'node:timers/promises'
import { Context } from '@textile/context'
import { PrivateKey } from '@textile/crypto'
import { Client, Where } from '@textile/threads-client'
import { ThreadID } from '@textile/threads-id'

const [url = 'http://127.0.0.1:6007', otherUrl] = process.argv.slice(2)

const schema = {
  properties: { _id: { type: 'string' }, name: { type: 'string' }, age: { type: 'number' } },
  required: ['_id', 'name'],
}

/** Runs in the sandbox of every daemon, for every event. `true` accepts, a text refuses and says why. */
const writeValidator = (writer, event, instance) => {
  return event.patch.type !== 'delete' || `${instance.name} stays`
}

async function connect(to) {
  const client = new Client(new Context(to))
  // An identity is a key pair; what it writes goes to a log of its own. Keep it: PrivateKey.fromString(key.toString()).
  await client.getToken(PrivateKey.fromRandom())
  return client
}

const client = await connect(url)
const db = await client.newDB(ThreadID.fromRandom(), 'zoo')
await client.newCollection(db, { name: 'Animal', schema, indexes: [{ path: 'age' }], writeValidator })

// An empty _id asks the daemon for one.
const [ada] = await client.create(db, 'Animal', [
  { _id: '', name: 'Ada', age: 12 },
  { _id: '', name: 'Bo', age: 3 },
])
await client.save(db, 'Animal', [{ _id: ada, name: 'Ada', age: 13 }])

// One record, all or nothing.
const transaction = client.writeTransaction(db, 'Animal')
await transaction.start()
await transaction.create([{ _id: '', name: 'Cy', age: 40 }])
await transaction.end()

const older = await client.find(db, 'Animal', new Where('age').ge(10).orderBy('age'))
console.log(older.map(({ name, age }) => `${name} ${age}`).join(', '))

try {
  await client.delete(db, 'Animal', [ada])
} catch (error) {
  console.log(error.message)
}

if (otherUrl !== undefined) {
  const other = await connect(otherUrl)
  // Collections are local: who joins names those he wants to see. Address and key are all he needs.
  await other.joinFromInfo(await client.getDBInfo(db), true, [{ name: 'Animal', schema }])
  // This client does not send functions when it joins.
  await other.updateCollection(db, { name: 'Animal', schema, writeValidator })
  let animals = []
  while (animals.length < 3) {
    await setTimeout(100)
    animals = await other.find(db, 'Animal', { sort: { fieldPath: 'name' } })
  }
  console.log(`the other daemon has ${animals.map(({ name }) => name).join(', ')}`)
}
