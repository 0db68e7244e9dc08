/** Whatever a decoder is given, it answers a value or says what is wrong: see the table in test/support/decoders.ts. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RpcError } from '../../src/api/errors.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { StatusError } from '../../src/net/protocol/status.ts'
import { bitswap, readers } from '../support/decoders.ts'
import { EXTREMES, hostileBytes } from '../support/mutations.ts'

/** Inputs for each decoder. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 200)
const OPTIONS = { timeout: 10_000 + 50 * RUNS }
const goods = readers.map(([, good]) => good)

/** Fails for all but a value and a failure with a code. */
async function reads(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): Promise<void> {
  const before = Buffer.from(bytes)
  try {
    await read(bytes)
  } catch (error) {
    const isForeseen = error instanceof ThreadsError || error instanceof RpcError || error instanceof StatusError
    if (!isForeseen || (error instanceof ThreadsError && error.code === 'INTERNAL')) throw error
  }
  // Nobody expects a reader to change what it reads.
  expect(before.equals(bytes)).toBe(true)
}

describe('a decoder answers a value or a failure with a code:', () => {
  test.each(readers)('%s', OPTIONS, async (_name, good, read) => {
    await read(good)
    await fc.assert(
      fc.asyncProperty(hostileBytes(good, goods), (bytes) => reads(read, bytes)),
      { numRuns: RUNS },
    )
  })

  test.each(EXTREMES)('all of them, for %s', { timeout: 60_000 }, async (_name, bytes) => {
    for (const [name, , read] of readers) {
      await reads(read, bytes).catch((cause: unknown) => {
        throw new Error(`${name} fails otherwise`, { cause })
      })
    }
  })
})

describe('the parser of protobuf, whose failures end the stream of a peer,', () => {
  const [, good, read] = bitswap

  test('fails in no way that goes on', OPTIONS, () => {
    read(good)
    fc.assert(
      fc.property(hostileBytes(good), (bytes) => {
        try {
          read(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }),
      { numRuns: RUNS },
    )
  })
})
