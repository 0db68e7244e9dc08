import type { EventData } from '../../core/events.ts'
import type { Identity } from '../../core/identity.ts'

export interface JudgeRequest {
  readonly validator: string
  readonly judge: string
  readonly writer: Identity
  readonly event: EventData
  /** Document before the record; absent if there is none. */
  readonly instance: Uint8Array | undefined
  /** Time of the record, in ns since 1970. */
  readonly time: bigint
}

export type Verdict =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: 'denied' | 'threw' | 'limit'; readonly message: string }

/** Runs write validators. What it says depends on the request alone. */
export interface Judge {
  /** One verdict for each request, in order. Throws SANDBOX_DOWN if it could not judge. */
  judge(requests: readonly JudgeRequest[]): Promise<Verdict[]>
}
