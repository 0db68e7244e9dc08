/** A client in a process of its own: opens a write transaction and a listener, says so, and waits to be killed. */
import { fromHex } from '../../src/core/bytes.ts'
import { DogClient } from './dog-client.ts'
import { grpcTransport } from './grpc-client.ts'
import { webSocketTransport } from './web-client.ts'

const [address = '', dbID = '', id = ''] = process.argv.slice(2)
const transport = address.startsWith('http') ? webSocketTransport(address) : grpcTransport(address)
const client = new DogClient(transport, fromHex(dbID))
await client.listen()
await client.writeTransaction(id)
process.stdout.write('open\n')
await new Promise(() => {})
