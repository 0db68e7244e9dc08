import { join } from 'node:path'
import { type ConfigFile, readConfigFile } from './config-file.ts'
import { nearest } from './nearest.ts'
import {
  type Config,
  ENV_PREFIX,
  OTHER_SETTINGS,
  type Setting,
  SETTING_NAMES,
  settingNamed,
  SETTINGS,
  variableOf,
} from './settings.ts'
import { UsageError } from './usage-error.ts'

/** A value as it was given, or a default. */
export interface Given {
  /** Where from: a flag, a variable, the path of a file, or `default`. */
  readonly source: string
  readonly text: string
}

export interface ReadConfig {
  readonly config: Config
  /** What `config` was made of. */
  readonly given: Readonly<Record<keyof Config, Given>>
  /** What was given and has no effect, one line each. */
  readonly warnings: readonly string[]
}

type Environment = Readonly<Record<string, string | undefined>>

/** The file in the repository that is read if there is one and no other is named. */
const FILE_NAME = 'threadsd.yaml'
/** Names the file. No setting, as it cannot stand in the file. */
const CONFIG = 'config'
const CONFIG_HELP = `YAML file with settings; by default ${FILE_NAME} in the repository, if it is there`

/**
 * Settings from the command line, else from the environment, else from a file, else the defaults; `undefined` if help was
 * asked for. Throws UsageError for the first name that is unknown, or value that is not allowed.
 */
export async function loadConfig(args: readonly string[], env: Environment): Promise<ReadConfig | undefined> {
  const { help, config, repo } = { ...fromEnvironment(env), ...fromArguments(args) }
  if (help !== undefined) return undefined
  if (config !== undefined) return readConfig(args, env, await readConfigFile(config.text, config.source))
  const file = await readConfigFile(join(repo?.text || SETTINGS.repo.default, FILE_NAME))
  if (file?.values.has('repo')) {
    throw new UsageError(`${file.path}: repo cannot be set by a file that is found in the repository`)
  }
  return readConfig(args, env, file)
}

/** The same, with a file that was read. */
export function readConfig(args: readonly string[], env: Environment, file?: ConfigFile): ReadConfig | undefined {
  const given = { ...fromFile(file), ...fromEnvironment(env), ...fromArguments(args) }
  if (given['help'] !== undefined) return undefined
  const warnings: string[] = []
  for (const [name, setting] of Object.entries(OTHER_SETTINGS)) {
    const value = given[name]
    if (value === undefined || (setting.refused && value.text === '')) continue
    if (setting.refused) throw new UsageError(`${value.source}: ${setting.why}`)
    parse(setting, value)
    warnings.push(`${value.source} has no effect: ${setting.why}`)
  }
  warnings.push(...unknownVariables(env))
  const settings = Object.entries<Setting<Config[keyof Config]>>(SETTINGS)
  const taken = Object.fromEntries(
    settings.map(([name, setting]) => [name, given[name] ?? { source: 'default', text: setting.default }]),
  ) as ReadConfig['given']
  const values = settings.map(([name, setting]) => [name, parse(setting, taken[name as keyof Config])])
  const config = Object.fromEntries(values) as Config
  refuseTogether(config, taken)
  return { config, given: taken, warnings }
}

/** Text of `-help`. */
export function helpText(): string {
  const lines = SETTING_NAMES.map((name) => {
    const { help = '', default: byDefault = '' } = settingNamed(name) ?? {}
    return `  -${name.padEnd(30)}${help} (default ${byDefault === '' ? 'none' : byDefault})`
  })
  return `Usage: threadsd [-flag value | -flag=value | --flag=value]...
       threadsd backup     take a backup of a daemon while it serves; -help tells more
       threadsd config     show the settings in use and where each comes from, or check a file; -help tells more
       threadsd migrate    have one daemon join the databases of another, and compare both; -help tells more
       threadsd restore    make a repository of a backup; -help tells more
       threadsd verify     check all data of a stopped daemon, and repair it; -help tells more

Every flag is also an environment variable, -apiAddr is ${variableOf('apiAddr')}, and a key of the YAML file. The command line
wins, then the environment, then the file.

  -${CONFIG.padEnd(30)}${CONFIG_HELP}
${lines.join('\n')}
`
}

function parse<T>({ schema, kind }: Setting<T>, { source, text }: Given): T {
  const result = schema.safeParse(text)
  if (!result.success) throw new UsageError(`${source}: "${text.slice(0, 200)}" is not ${kind}`)
  return result.data
}

/** Values that are allowed, but not together. */
function refuseTogether(config: Config, given: ReadConfig['given']): void {
  const { maxHeldBytes, maxMessageBytes, tlsCert, tlsKey } = config
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    const { source } = tlsCert === undefined ? given.tlsKey : given.tlsCert
    throw new UsageError(`${source}: tlsCert and tlsKey are needed both`)
  }
  if (maxHeldBytes !== undefined && maxHeldBytes < 4 * maxMessageBytes) {
    throw new UsageError(
      `${given.maxHeldBytes.source}: "${maxHeldBytes}" is not at least 4 times maxMessageBytes, which is ${maxMessageBytes}`,
    )
  }
}

/** Warned of only: others may use the prefix too, as Kubernetes does for a service of that name. */
function unknownVariables(env: Environment): string[] {
  const known = [...SETTING_NAMES, CONFIG].map(variableOf)
  const unknown = Object.keys(env).filter((name) => name.startsWith(ENV_PREFIX) && !known.includes(name))
  return unknown.map((name) => `${name} is not a known variable${didYouMean(name, known)}`)
}

function didYouMean(name: string, names: readonly string[], prefix = ''): string {
  const meant = nearest(name, names)
  return meant === undefined ? '' : `; did you mean ${prefix}${meant}?`
}

function fromFile(file: ConfigFile | undefined): Record<string, Given> {
  const given: Record<string, Given> = {}
  for (const [name, text] of file?.values ?? []) {
    const source = `${file?.path}: ${name}`
    if (settingNamed(name) === undefined) {
      throw new UsageError(`${source.slice(0, 500)} is not a known setting${didYouMean(name, SETTING_NAMES)}`)
    }
    given[name] = { source, text }
  }
  return given
}

/** An empty variable means `true` for a boolean setting, as in go-threads, and nothing for others. */
function fromEnvironment(env: Environment): Record<string, Given> {
  const given: Record<string, Given> = {}
  for (const name of [...SETTING_NAMES, CONFIG]) {
    const text = env[variableOf(name)]
    const boolean = settingNamed(name)?.boolean === true
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
    const { boolean = false, kind } = name === CONFIG ? { kind: 'a file' } : flagNamed(name)
    const next = boolean ? 'true' : args[at + 1]
    if (inline === undefined && next === undefined) throw new UsageError(`-${name} needs a value: ${kind}`)
    if (inline === undefined && !boolean) at++
    given[name] = { source: `-${name}`, text: inline ?? next ?? '' }
  }
  return given
}

function flagNamed(name: string): Setting<unknown> {
  const setting = settingNamed(name)
  if (setting !== undefined) return setting
  const meant = didYouMean(name, [...SETTING_NAMES, CONFIG], '-')
  throw new UsageError(`-${name.slice(0, 200)} is not a known flag${meant}`)
}
