/** Opens the repository it is given, asks for some documents, and tells how long that took. */
import { randomBytes } from '../src/core/crypto.ts'
import { generateKey } from '../src/core/keys.ts'
import { INDEX_PATH } from './document.ts'
import { openEmbedded } from './embedded-target.ts'

const [, , location = ''] = process.argv
const started = performance.now()
await using host = await openEmbedded(location, generateKey(randomBytes))
const [database] = await host.list()
const query = { ands: [{ fieldPath: INDEX_PATH, operation: 0, value: { float: 7 } }], limit: 100 }
const found = await database?.find(Buffer.from(JSON.stringify(query)))
if (found?.length !== 100) throw new Error(`found ${found?.length} documents`)
process.send?.(performance.now() - started)
process.disconnect?.()
