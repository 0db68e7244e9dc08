import { randomBytes } from '../../src/core/crypto.ts'
import { generateKey } from '../../src/core/keys.ts'
import { seal } from '../../src/core/symmetric.ts'
import { repeated, type Work } from '../measure.ts'
import { cpuOf } from '../processes.ts'

export interface CryptoLimits {
  readonly sign: Work
  readonly verify: Work
  readonly encrypt: Work
  /** The cryptography of a record. */
  readonly author: Work
  /** What `author` does, once. */
  readonly signAndSeal: () => void
  /** What `verify` does, once. */
  readonly check: () => void
}

/** What a record carries: a document of 305 bytes in its event, and an envelope. */
const BODY_BYTES = 400
const ENVELOPE_BYTES = 250
const SIGNED_BYTES = 72

export function cryptoLimits(): CryptoLimits {
  const key = generateKey(randomBytes)
  const symmetric = randomBytes(32)
  const [body, envelope, message] = [randomBytes(BODY_BYTES), randomBytes(ENVELOPE_BYTES), randomBytes(SIGNED_BYTES)]
  const signature = key.sign(message)
  const encrypt = (): void => {
    seal(symmetric, body, randomBytes)
    seal(symmetric, envelope, randomBytes)
  }
  const signAndSeal = (): void => {
    key.sign(message)
    encrypt()
  }
  const check = (): void => void key.publicKey.verify(message, signature)
  const cpu = cpuOf()
  return {
    sign: repeated('ed25519 signatures', { cpu }, () => key.sign(message)),
    verify: repeated('ed25519 verifications', { cpu }, check),
    encrypt: repeated(`AES-GCM of ${BODY_BYTES} and ${ENVELOPE_BYTES} bytes`, { cpu }, encrypt),
    author: repeated('sign, encrypt', { cpu }, signAndSeal),
    signAndSeal,
    check,
  }
}
