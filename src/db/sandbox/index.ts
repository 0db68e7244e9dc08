/**
 * Runs the functions that come with collections in an engine of their own, QuickJS, on worker threads.
 *
 * What a validator says depends on its source, the writer, the event, the document and the time of the record alone, so
 * that all hosts come to the same verdict: nothing stays from one call to the next, `Date` shows the time of the record,
 * `Math.random` throws, and steps are counted instead of time.
 *
 * What authors of functions may notice: built-ins cannot be changed, and variables of the global object are gone with the
 * call that made them.
 */
import type { Identity } from '../../core/identity.ts'
import type { Judge, JudgeRequest, Verdict } from '../fold/judge.ts'
import type { Budget } from './limits.ts'
import type { FunctionForm } from './messages.ts'

export { JUDGE_VERSION } from './limits.ts'
export { createSandbox, type SandboxOptions } from './sandbox.ts'
export type { Budget, FunctionForm }

export interface JudgeOptions {
  /** Default 'judge'. The host of an author asks with 'author', a quarter of it, before it writes. */
  budget?: Budget
}

export interface Sandbox extends Judge {
  /** Throws INVALID_FUNCTION if the source is no function body, in strict mode too, and SANDBOX_DOWN. */
  checkFunction(source: string, form: FunctionForm): Promise<void>
  /**
   * One verdict for each request, in order; reaching a limit is a refusal. Throws SANDBOX_DOWN if a verdict could not be
   * reached: the engine failed or took too long three times, a request names an engine that is not here, or too many wait.
   */
  judge(requests: readonly JudgeRequest[], options?: JudgeOptions): Promise<Verdict[]>
  /**
   * What a reader is shown of documents, in order: JSON, or nothing where the document is hidden. A document that is shown
   * as it is comes back as the same bytes. Throws READ_FILTER_FAILED if the filter fails on any of them, and SANDBOX_DOWN.
   */
  filter(
    source: string,
    reader: Identity | undefined,
    documents: readonly Uint8Array[],
  ): Promise<(Uint8Array | undefined)[]>
  /** Ends all threads; calls under way throw CLOSED. */
  close(): Promise<void>
}
