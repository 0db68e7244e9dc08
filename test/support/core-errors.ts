import { expect } from 'vitest'
import { ThreadsError } from '../../src/core/errors.ts'

/** The failure of a call that must fail, and in no other way than with a ThreadsError. */
export function failureOf(run: () => unknown): ThreadsError {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(ThreadsError)
    if (error instanceof ThreadsError) return error
  }
  throw new Error('expected a failure')
}
