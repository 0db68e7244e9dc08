import { open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { settingNamed } from './settings.ts'
import { UsageError } from './usage-error.ts'

/** Settings of a YAML file, as texts. Names are those in the file, known or not. */
export interface ConfigFile {
  readonly path: string
  readonly values: ReadonlyMap<string, string>
}

/** More is no configuration. */
const MAX_BYTES = 1024 * 1024

/**
 * Reads a YAML file with settings. Relative paths in it become absolute, from the directory of the file. Throws UsageError
 * if it cannot be read. `source` is what names the file; without it the file may be missing.
 */
export function readConfigFile(path: string, source: string): Promise<ConfigFile>
export function readConfigFile(path: string): Promise<ConfigFile | undefined>
export async function readConfigFile(path: string, source?: string): Promise<ConfigFile | undefined> {
  const text = await readText(path, source)
  if (text === undefined) return undefined
  const values = new Map<string, string>()
  for (const [name, value] of await entriesOf(path, text)) {
    const plain = textOf(value)
    if (plain === undefined)
      throw new UsageError(`${path}: ${name} is not a text, a number, true, false or a list of these`)
    const isPath = settingNamed(name)?.path === true && plain !== ''
    values.set(name, isPath ? resolve(dirname(path), plain) : plain)
  }
  return { path, values }
}

async function readText(path: string, source: string | undefined): Promise<string | undefined> {
  try {
    await using handle = await open(path)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_BYTES + 1))
    if (bytesRead > MAX_BYTES) throw new UsageError(`${path} is larger than ${MAX_BYTES} bytes`)
    return buffer.toString('utf8', 0, bytesRead)
  } catch (error) {
    if (error instanceof UsageError) throw error
    const isMissing = error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
    if (isMissing && source === undefined) return undefined
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`${source === undefined ? '' : `${source}: `}the file ${path} cannot be read: ${reason}`)
  }
}

async function entriesOf(path: string, text: string): Promise<[name: string, value: unknown][]> {
  const content = await parseYaml(path, text)
  if (content === null) return []
  if (!(content instanceof Map)) throw new UsageError(`${path} is not a list of settings like "logLevel: info"`)
  return [...content].map(([name, value]) => [String(name), value])
}

async function parseYaml(path: string, text: string): Promise<unknown> {
  // Loaded only if there is a file.
  const { parseDocument } = await import('yaml')
  try {
    const document = parseDocument(text)
    const [error] = document.errors
    if (error !== undefined) throw error
    return document.toJS({ mapAsMap: true })
  } catch (cause) {
    const [line = ''] = (cause instanceof Error ? cause.message : String(cause)).split('\n')
    throw new UsageError(`${path} is not YAML: ${line.replace(/:$/, '')}`, { cause })
  }
}

/** As it would stand on the command line; `undefined` for what cannot. */
function textOf(value: unknown): string | undefined {
  if (value === null) return ''
  if (Array.isArray(value)) {
    const texts = value.map((each) => (Array.isArray(each) ? undefined : textOf(each)))
    return texts.includes(undefined) ? undefined : texts.join(',')
  }
  const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  return isPlain ? String(value) : undefined
}
