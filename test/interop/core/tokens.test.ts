import { expect } from 'vitest'
import { parseIdentity } from '../../../src/core/identity.ts'
import { decodePrivateKey, decodePublicKey } from '../../../src/core/keys.ts'
import { issueToken, verifyToken } from '../../../src/core/token.ts'
import { failureOf } from '../../support/core-errors.ts'
import { testVectors } from '../../support/vectors.ts'

/** After all tokens were issued, before the far future some of them name. */
const NOW_SECONDS = 1_800_000_000

testVectors('tokens.json', {
  case: (one, head) => {
    const host = decodePublicKey(head.bytes('hostPubKey'))
    const token = one.string('token')
    if (!one.boolean('valid')) {
      const error = failureOf(() => verifyToken(host, token, NOW_SECONDS))
      expect(error.message).toBe(one.string('error'))
      const named = ['invalid thread token', 'thread token not found'].includes(error.message)
      expect(error.code).toBe(named ? 'TOKEN_INVALID' : 'INVALID_KEY')
      return
    }
    const identity = verifyToken(host, token, NOW_SECONDS)
    expect(identity).toBe(one.has('identity') ? one.string('identity') : undefined)
    if (one.string('name').startsWith('valid, ') || one.string('name').startsWith('issued by Go')) {
      const hostKey = decodePrivateKey(head.bytes('hostPrivKey'))
      const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
      expect(issueToken(hostKey, parseIdentity(one.string('identity')), claims.iat)).toBe(token)
    }
  },
})
