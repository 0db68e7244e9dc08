import { bad, type Config, type Flag, FLAGS, OTHER_FLAGS } from './flags.ts'

/** A flag or variable that cannot be used. The message is one line for the user. */
export class UsageError extends Error {
  readonly hint: string = '-help lists the flags.'
}

export interface ReadConfig {
  readonly config: Config
  /** What was given and has no effect, one line each. */
  readonly warnings: readonly string[]
}

const ENV_PREFIX = 'THRDS_'

/** Where a value came from, for messages. */
interface Given {
  readonly source: string
  readonly text: string
}

/**
 * Settings from the command line, else from the environment, else the defaults; `undefined` if help was asked for.
 * Throws UsageError for the first flag that is unknown, or value that is not allowed.
 */
export function readConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ReadConfig | undefined {
  const given = { ...fromEnvironment(env), ...fromArguments(args) }
  if (given.help !== undefined) return undefined
  const warnings: string[] = []
  for (const [name, { flag, why, refused }] of Object.entries(OTHER_FLAGS)) {
    const value = given[name]
    if (value === undefined || (refused && value.text === '')) continue
    if (refused) throw new UsageError(`${value.source}: ${why}`)
    parse(flag, value)
    warnings.push(`${value.source} has no effect: ${why}`)
  }
  const names = new Set([...Object.keys(FLAGS), ...Object.keys(OTHER_FLAGS)].map(variableOf))
  for (const variable of Object.keys(env)) {
    if (variable.startsWith(ENV_PREFIX) && !names.has(variable)) warnings.push(`${variable} is not a known variable`)
  }
  const settings = Object.entries<Flag<unknown>>(FLAGS).map(([name, flag]) => {
    return [name, parse(flag, given[name] ?? { source: `default of -${name}`, text: flag.default })]
  })
  return { config: Object.fromEntries(settings) as Config, warnings }
}

/** Text of `-help`. */
export function helpText(): string {
  const others = Object.entries(OTHER_FLAGS).map(([name, other]) => [name, other.flag] as const)
  const lines = [...Object.entries<Flag<unknown>>(FLAGS), ...others].map(
    ([name, flag]) => `  -${name.padEnd(30)}${flag.help} (default ${flag.default === '' ? 'none' : flag.default})`,
  )
  return `Usage: threadsd [-flag value | -flag=value | --flag=value]...
       threadsd migrate    have one daemon join the databases of another, and compare both; -help tells more
       threadsd verify     check all data of a stopped daemon, and repair it; -help tells more

Every flag is also an environment variable: -apiAddr is ${variableOf('apiAddr')}. The command line wins.

${lines.join('\n')}
`
}

function parse<T>(flag: Flag<T>, { source, text }: Given): T {
  const value = flag.parse(text)
  if (value === bad) throw new UsageError(`${source}: "${text.slice(0, 200)}" is not ${flag.kind}`)
  return value
}

function variableOf(name: string): string {
  return `${ENV_PREFIX}${name.toUpperCase()}`
}

function flagOf(name: string): Flag<unknown> | undefined {
  if (Object.hasOwn(FLAGS, name)) return FLAGS[name as keyof Config]
  return Object.hasOwn(OTHER_FLAGS, name) ? OTHER_FLAGS[name]?.flag : undefined
}

/** An empty variable means `true` for a boolean flag, as in go-threads, and nothing for others. */
function fromEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, Given> {
  const given: Record<string, Given> = {}
  for (const name of [...Object.keys(FLAGS), ...Object.keys(OTHER_FLAGS)]) {
    const text = env[variableOf(name)]
    const boolean = flagOf(name)?.boolean === true
    if (text === undefined || (text === '' && !boolean)) continue
    given[name] = { source: variableOf(name), text: text === '' ? 'true' : text }
  }
  return given
}

function fromArguments(args: readonly string[]): Record<string, Given> {
  const given: Record<string, Given> = {}
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg)
    if (match === null) throw new UsageError(`unexpected argument "${arg.slice(0, 200)}"`)
    const [, name = '', inline] = match
    if (name === 'help' || name === 'h') return { help: { source: arg, text: '' } }
    const flag = flagOf(name)
    if (flag === undefined) throw new UsageError(`-${name.slice(0, 200)} is not a known flag`)
    const next = flag.boolean ? 'true' : args[at + 1]
    if (inline === undefined && next === undefined) throw new UsageError(`-${name} needs a value: ${flag.kind}`)
    if (inline === undefined && !flag.boolean) at++
    given[name] = { source: `-${name}`, text: inline ?? next ?? '' }
  }
  return given
}
