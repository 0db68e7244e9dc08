/** Work one document may cause: characters and items that are looked at, and steps into referred schemas. */
const MAX_WORK = 10_000_000
/** A step takes as long as looking at so many characters. */
export const STEP_WORK = 20
/** So does compiling a character of a pattern. */
export const PATTERN_WORK = 50

/** Ends validations that would hold up the process: schemas can make the work grow exponentially. */
export class Budget {
  #left = 0

  start(): void {
    this.#left = MAX_WORK
  }

  /** Throws {@link BudgetExceeded}. */
  spend(units: number): void {
    this.#left -= units
    if (this.#left < 0) throw new BudgetExceeded()
  }
}

export class BudgetExceeded extends Error {}
