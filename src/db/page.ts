/** Most entries of a list answered at once. */
export const MAX_PAGE = 1_000

/** Checks how many entries are wished. Throws TypeError. */
export function pageLimit(limit: number = MAX_PAGE): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new TypeError(`limit is ${limit}, must be a whole number from 1 to ${MAX_PAGE}`)
  }
  return limit
}
