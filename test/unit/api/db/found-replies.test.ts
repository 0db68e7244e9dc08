import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { foundByIdReply, foundReply } from '../../../../src/api/db/found-replies.ts'
import { FindByIDReply, FindReply } from '../../../../src/api/gen/threads.ts'

const documents = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 2_097_152).map((length) => new Uint8Array(length).fill(7)),
)

test('replies are encoded as the generated code does it', () => {
  fc.assert(
    fc.property(fc.array(documents, { maxLength: 5 }), fc.string(), (instances, transactionError) => {
      const found = { instances, transactionError }
      expect(plain(foundReply.encode(found))).toEqual(FindReply.encode(found).finish())
      const [instance = new Uint8Array(0)] = instances
      const one = { instance, transactionError }
      expect(plain(foundByIdReply.encode(one))).toEqual(FindByIDReply.encode(one).finish())
    }),
    { numRuns: 60 },
  )
})

function plain(encoded: { finish(): Uint8Array }): Uint8Array {
  return new Uint8Array(encoded.finish())
}
