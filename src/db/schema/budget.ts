/** Work one document may cause: a unit is a step into a referred schema, or a character or item that is looked at. */
const MAX_WORK = 10_000_000

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
