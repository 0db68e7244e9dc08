/** What pages of the client's tests have as `threads`: the cases of the conformance suite, and the client. */
import { connect, parseIdentityKey } from '../../../src/client/index.ts'
import { CASES } from '../../conformance/client.ts'

export { connect, generateIdentityKey, ThreadsError } from '../../../src/client/index.ts'

/** Runs one case on a daemon. */
export async function runCase(at: number, { url, secret }: { url: string; secret: string }): Promise<unknown> {
  const identity = parseIdentityKey(secret)
  await using client = connect(url, { identity })
  // Awaited here: the client closes when this function is left.
  return await CASES[at]?.run({ client, identity: identity.identity })
}
