export interface AbortOptions {
  /** Ends the operation early; it then rejects with the signal's reason. */
  signal?: AbortSignal
}
