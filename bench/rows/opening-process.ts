/** Opens the repository it is given, asks for some documents, and tells how long that took. */
import { randomBytes } from '../../src/core/crypto.ts'
import { generateKey } from '../../src/core/keys.ts'
import { openEmbedded } from '../embedded-target.ts'
import { ofAge } from './reads.ts'

const [, , location = '', limit] = process.argv
const started = performance.now()
await using host = await openEmbedded(location, generateKey(randomBytes))
const [database] = await host.list()
const found = await database?.find(Buffer.from(JSON.stringify({ ...ofAge(7), limit: Number(limit) })))
if (found?.length !== Number(limit)) throw new Error(`found ${found?.length} documents`)
process.send?.(performance.now() - started)
process.disconnect?.()
