/** Two hosts in one process share a database: one on disk, one in memory. See README.md beside this file. */
import { randomBytes } from 'node:crypto'
import { newThreadId } from 'threads-db/net'
import { openHost } from './host.ts'

const [directory = 'data'] = process.argv.slice(2)

const encode = (document: object): Uint8Array => new TextEncoder().encode(JSON.stringify(document))
const decode = (document: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(document))

const schema = JSON.stringify({
  properties: { _id: { type: 'string' }, name: { type: 'string' } },
  required: ['_id', 'name'],
})
const collections = [{ name: 'Animal', schema, indexes: [{ path: 'name' }] }]

const onDisk = await openHost(directory)
const inMemory = await openHost()

const zoo = await onDisk.databases.create(newThreadId('raw', randomBytes), { name: 'zoo', collections })
const [ada] = await zoo.collection('Animal').create([encode({ _id: '', name: 'Ada' })])

// An address and the key are all that the other host needs.
const { addresses, key } = await zoo.info()
const [address] = addresses
if (address === undefined || ada === undefined) throw new Error('the host has no address')
const copy = await inMemory.databases.join(address, { key, collections, block: true })
console.log('joined:', decode(await copy.collection('Animal').findById(ada)))

// Writes on either host reach the other one.
const listening = new AbortController()
const updates = zoo.listen([{ collection: 'Animal' }], { signal: listening.signal })[Symbol.asyncIterator]()
const next = updates.next()
await copy.collection('Animal').create([encode({ _id: 'bo', name: 'Bo' })])
const { value: update } = await next
console.log('update:', update?.kind, update?.id)
listening.abort()

await inMemory.close()
await onDisk.close()

// What was answered is on disk.
const reopened = await openHost(directory)
const found = await (await reopened.databases.get(zoo.id)).collection('Animal').find({ sort: { path: 'name' } })
console.log('reopened:', found.map(decode))
await reopened.close()
