import { RE2JS } from 're2js'
import type { Budget } from './budget.ts'

/** Whether a text is a regular expression of RE2, which has no look-around and no back references. */
export function isPattern(text: string): boolean {
  try {
    RE2JS.compile(text)
    return true
  } catch {
    return false
  }
}

/** A pattern that takes linear time. Throws if it is none of RE2. */
export class LinearPattern {
  readonly #text: string
  readonly #pattern: RE2JS
  readonly #budget: Budget

  constructor(text: string, budget: Budget) {
    this.#text = text
    this.#pattern = RE2JS.compile(text)
    this.#budget = budget
  }

  /** Whether the pattern is found somewhere in a text. */
  test(text: string): boolean {
    this.#budget.spend(text.length)
    return this.#pattern.matcher(text).find()
  }

  /** The compiler tells patterns apart by this. */
  toString(): string {
    return this.#text
  }
}
