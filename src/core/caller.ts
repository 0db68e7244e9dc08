import type { Identity } from './identity.ts'

/** Who asks. Reaches every method of net and db, also in embedded use. */
export interface Caller {
  /** The identity a checked token names; absent for an anonymous caller. */
  readonly identity?: Identity
}

export const anonymous: Caller = {}
