/** A page that uses all of the client: what a bundle of it can have at most. */
import * as client from '../../../src/client/index.ts'

Object.assign(globalThis, { client: { ...client } })
