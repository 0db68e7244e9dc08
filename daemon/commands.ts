/** A command of the daemon's program other than serving: `threadsd <name> [-flag value]...`. */
export interface Command {
  /** What it does, in one line. */
  readonly help: string
  /** Runs it with the arguments after its name. Answers the exit code; an error thrown becomes one line and code 1. */
  run(args: readonly string[]): Promise<number>
}

/** By name. Loaded when asked for: the daemon needs none of them. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  backup: async () => (await import('./commands/backup.ts')).command,
  config: async () => (await import('./commands/config.ts')).command,
  migrate: async () => (await import('./commands/migrate.ts')).command,
  restore: async () => (await import('./commands/restore.ts')).command,
  verify: async () => (await import('./commands/verify.ts')).command,
}

/** The command that the first argument names; `undefined` if it is a flag, or absent. */
export async function commandOf(args: readonly string[]): Promise<Command | undefined> {
  const [name] = args
  return name !== undefined && Object.hasOwn(COMMANDS, name) ? await COMMANDS[name]?.() : undefined
}
