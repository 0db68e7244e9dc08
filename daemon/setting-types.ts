import { isIPv4, isIPv6 } from 'node:net'
import * as z from 'zod/mini'
import type { HostPort } from '../src/api/index.ts'
import { type Address, parseAddress } from '../src/core/address.ts'
import { ThreadsError } from '../src/core/errors.ts'
import { type Identity, parseIdentity } from '../src/core/identity.ts'
import { type PeerId, parsePeerId } from '../src/core/peer-id.ts'
import { parseDuration } from './duration.ts'

/** What a setting may be. Values come as text: from the command line, the environment, or a file. */
export interface SettingType<T> {
  readonly schema: z.ZodMiniType<T, string>
  /** What a value must be, to follow "is not". */
  readonly kind: string
  /** The flag alone means `true`. */
  readonly boolean?: true
  /** A path: in a file it is relative to that. */
  readonly path?: true
}

export const text: z.ZodMiniType<string, string> = z.string()

/** The value that `read` makes of a text; `undefined` if the text stands for none. */
function readBy<T>(read: (value: string) => T | undefined): z.ZodMiniType<T, string> {
  const transform = z.transform((value: string, context): T => {
    const found = read(value)
    if (found === undefined) context.issues.push({ code: 'custom', input: value })
    return found as T
  })
  return z.pipe(z.string(), transform)
}

export const boolean: SettingType<boolean> = {
  kind: 'true or false',
  boolean: true,
  schema: readBy((value) => {
    if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true
    return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value) ? false : undefined
  }),
}

export const directory: SettingType<string> = {
  kind: 'a directory',
  path: true,
  schema: z.string().check(z.minLength(1)),
}

export const file: SettingType<string> = { kind: 'a file', path: true, schema: z.string().check(z.minLength(1)) }

export function wholeNumber(min: number, max: number): SettingType<number> {
  return {
    kind: `a whole number from ${min} to ${max}`,
    schema: readBy((value) => {
      const number = /^\d{1,15}$/.test(value) ? Number(value) : -1
      return number >= min && number <= max ? number : undefined
    }),
  }
}

/** In milliseconds. */
export function duration(min: string, max: string): SettingType<number> {
  const [minMs = 0, maxMs = 0] = [parseDuration(min), parseDuration(max)]
  return {
    kind: `a duration from ${min} to ${max}, like 20s, 1m30s or 500ms`,
    schema: readBy((value) => {
      const ms = parseDuration(value)
      return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined
    }),
  }
}

export function oneOf<T extends string>(...values: readonly T[]): SettingType<T> {
  return { kind: values.join(' or '), schema: readBy((value) => values.find((each) => each === value)) }
}

/** Nothing, if the text is empty. */
export function optional<T>(type: SettingType<T>): SettingType<T | undefined> {
  const nothing = z.pipe(
    z.literal(''),
    z.transform(() => undefined),
  )
  return { ...type, schema: z.union([nothing, type.schema]) }
}

export const address: SettingType<Address> = {
  kind: 'a multiaddr like /ip4/0.0.0.0/tcp/4006',
  schema: readBy(unlessInvalid(parseAddress)),
}

export const hostPort: SettingType<HostPort> = {
  kind: 'a multiaddr of the form /ip4/127.0.0.1/tcp/6006',
  schema: readBy((value) => {
    const [, kind, host = '', port] = /^\/(ip4|ip6)\/([^/]+)\/tcp\/(\d{1,5})$/.exec(value) ?? []
    const known = kind === 'ip4' ? isIPv4(host) : isIPv6(host)
    return known && Number(port) <= 65_535 ? { host, port: Number(port) } : undefined
  }),
}

export const origins: SettingType<readonly string[]> = {
  kind: 'a list of origins like https://example.com,http://localhost:8080',
  schema: readBy((value) => {
    const list = listOf(value)
    return list.every((origin) => origin === '*' || URL.parse(origin)?.origin === origin) ? list : undefined
  }),
}

export const peers: SettingType<'anyone' | 'none' | readonly PeerId[]> = {
  kind: 'anyone, none or a list of peer ids',
  schema: readBy((value) => {
    if (value === 'anyone' || value === 'none') return value
    return unlessInvalid((ids: string) => listOf(ids).map(parsePeerId))(value)
  }),
}

export const identities: SettingType<'anyone' | readonly Identity[]> = {
  kind: 'anyone or a list of public keys',
  schema: readBy((value) => {
    if (value === 'anyone') return value
    return unlessInvalid((keys: string) => listOf(keys).map(parseIdentity))(value)
  }),
}

function listOf(value: string): string[] {
  return value.split(',').map((each) => each.trim())
}

function unlessInvalid<T>(parse: (value: string) => T): (value: string) => T | undefined {
  return (value) => {
    try {
      return parse(value)
    } catch (error) {
      if (error instanceof ThreadsError) return undefined
      throw error
    }
  }
}
