/** From `since` (ns since 1970) on, records are judged by this validator. */
export interface ValidatorEntry {
  readonly since: bigint
  /** Body of `function (writer, event, instance)`; empty for none. */
  readonly validator: string
  /** Names the engine build and its limits. */
  readonly judge: string
}

/**
 * The validator a record of this time meets, if any: the last entry with `since` at or before `time`. The first entry
 * holds from the beginning, whatever its `since`.
 */
export function inForce(list: readonly ValidatorEntry[], time: bigint): ValidatorEntry | undefined {
  const entry = list.findLast(({ since }) => since <= time) ?? list[0]
  return entry === undefined || entry.validator === '' ? undefined : entry
}
