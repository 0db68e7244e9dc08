/** A flag, variable or file that cannot be used. The message is one line for the user. */
export class UsageError extends Error {
  readonly hint: string = '-help lists the flags.'
}
