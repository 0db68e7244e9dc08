import { isIPv4, isIPv6 } from 'node:net'
import type { HostPort } from '../src/api/index.ts'
import { type Address, parseAddress } from '../src/core/address.ts'
import { ThreadsError } from '../src/core/errors.ts'
import { type PeerId, parsePeerId } from '../src/core/peer-id.ts'
import { parseDuration } from './duration.ts'

/** Settings of the daemon. Members are named as the flags are; durations are in ms. */
export interface Config {
  repo: string
  hostAddr: Address
  announceAddr: Address | undefined
  apiAddr: HostPort
  apiProxyAddr: HostPort
  connHighWater: number
  enableNetPubsub: boolean
  keepAliveInterval: number
  disableNetPulling: boolean
  netPullingLimit: number
  netPullingStartAfter: number
  netPullingInitialInterval: number
  netPullingInterval: number
  debug: boolean
  logLevel: LogLevel
  logFile: string | undefined
  durability: 'full' | 'relaxed'
  maxMessageBytes: number
  corsOrigins: readonly string[]
  replicateFor: 'anyone' | 'none' | readonly PeerId[]
  maxUnsolicitedBytes: number
  transactionIdle: number
  transactionTotal: number
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Flag<T> {
  readonly default: string
  readonly help: string
  /** What a value must be, to follow "is not". */
  readonly kind: string
  readonly boolean?: true
  /** The setting a text stands for, or `bad`. */
  parse(text: string): T | typeof bad
}

export const bad: unique symbol = Symbol('bad value')

const MIB = 1024 * 1024

/** The one table of settings: reading, checking and help all come from it. */
export const FLAGS: { readonly [Name in keyof Config]: Flag<Config[Name]> } = {
  repo: { default: '.threads', help: 'directory of all data', kind: 'a directory', parse: (text) => text || bad },
  hostAddr: address('/ip4/0.0.0.0/tcp/4006', 'where other hosts reach this one (libp2p)'),
  announceAddr: optional(address('', 'if set, the only address told to other hosts')),
  apiAddr: hostPort('/ip4/127.0.0.1/tcp/6006', 'where clients reach the daemon: gRPC'),
  apiProxyAddr: hostPort('/ip4/127.0.0.1/tcp/6007', 'where browsers reach the daemon: gRPC-Web'),
  connHighWater: wholeNumber('400', [1, 100_000], 'connections above which idle ones are closed'),
  enableNetPubsub: boolean(
    'also exchange records by gossipsub; whoever knows a thread ID can then get them, encrypted',
  ),
  keepAliveInterval: duration('5s', ['1s', '24h'], 'time between pings on websockets'),
  disableNetPulling: boolean('do not ask other hosts for records at intervals'),
  netPullingLimit: wholeNumber('10000', [1, 1_000_000], 'records of a log asked for at once'),
  netPullingStartAfter: duration('1s', ['1ms', '24h'], 'time from start to the first pull'),
  netPullingInitialInterval: duration('1s', ['1ms', '24h'], 'length of the first pull cycle'),
  netPullingInterval: duration('10s', ['1ms', '24h'], 'length of later pull cycles'),
  debug: boolean('the same as -logLevel debug'),
  logLevel: oneOf(['warn', 'debug', 'info', 'error'], 'least level of the lines written to stderr'),
  logFile: optional({ default: '', help: 'file that gets the log too', kind: 'a file', parse: (text) => text }),
  durability: oneOf(['full', 'relaxed'], 'answer a write after fsync, or up to 100 ms before it'),
  maxMessageBytes: wholeNumber(String(4 * MIB), [1024, 256 * MIB], 'largest request taken from a client'),
  corsOrigins: {
    default: '*',
    help: 'origins whose pages may use gRPC-Web, separated by commas; * for any',
    kind: 'a list of origins like https://example.com,http://localhost:8080',
    parse: parseOrigins,
  },
  replicateFor: {
    default: 'anyone',
    help: 'whose unknown threads are kept when another host asks: anyone, none, or peer ids separated by commas',
    kind: 'anyone, none or a list of peer ids',
    parse: parseReplicateFor,
  },
  maxUnsolicitedBytes: wholeNumber(
    String(10 * 1024 * MIB),
    [0, 999_999_999_999_999],
    'bytes of records kept in such threads',
  ),
  transactionIdle: duration('10s', ['1ms', '24h'], 'how long a transaction may be idle before it is aborted'),
  transactionTotal: duration('30s', ['1ms', '24h'], 'how long a transaction may take before it is aborted'),
}

/** Flags of go-threads that mean nothing here. Given ones are named in a warning, or refused. */
export const OTHER_FLAGS: Readonly<Record<string, { flag: Flag<unknown>; why: string; refused?: true }>> = {
  connLowWater: {
    flag: wholeNumber('100', [0, 100_000], 'no effect'),
    why: 'idle connections are closed above -connHighWater only',
  },
  connGracePeriod: { flag: duration('20s', ['0s', '24h'], 'no effect'), why: 'connections in use are never closed' },
  disableExchangeEdgesMigration: { flag: boolean('no effect'), why: 'there is nothing to migrate' },
  badgerLowMem: { flag: boolean('no effect'), why: 'the store needs little memory as it is' },
  mongoUri: {
    flag: { default: '', help: 'refused if not empty', kind: 'empty', parse: (text) => text },
    why: 'MongoDB is not supported; data is kept in the directory that -repo names',
    refused: true,
  },
  mongoDatabase: {
    flag: { default: '', help: 'refused if not empty', kind: 'empty', parse: (text) => text },
    why: 'MongoDB is not supported; data is kept in the directory that -repo names',
    refused: true,
  },
}

function parseReplicateFor(text: string): Config['replicateFor'] | typeof bad {
  if (text === 'anyone' || text === 'none') return text
  try {
    return text.split(',').map((id) => parsePeerId(id.trim()))
  } catch (error) {
    if (error instanceof ThreadsError) return bad
    throw error
  }
}

function boolean(help: string): Flag<boolean> {
  return {
    default: 'false',
    help,
    kind: 'true or false',
    boolean: true,
    parse(text) {
      if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
      return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text) ? false : bad
    },
  }
}

function wholeNumber(byDefault: string, [min, max]: readonly [number, number], help: string): Flag<number> {
  return {
    default: byDefault,
    help,
    kind: `a whole number from ${min} to ${max}`,
    parse: (text) => (/^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : bad),
  }
}

function duration(byDefault: string, [min, max]: readonly [string, string], help: string): Flag<number> {
  const [minMs = 0, maxMs = 0] = [parseDuration(min), parseDuration(max)]
  return {
    default: byDefault,
    help,
    kind: `a duration from ${min} to ${max}, like 20s, 1m30s or 500ms`,
    parse(text) {
      const ms = parseDuration(text)
      return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : bad
    },
  }
}

/** The first value is the default. */
function oneOf<T extends string>(values: readonly [T, ...T[]], help: string): Flag<T> {
  return {
    default: values[0],
    help,
    kind: values.join(' or '),
    parse: (text) => values.find((value) => value === text) ?? bad,
  }
}

function address(byDefault: string, help: string): Flag<Address> {
  return {
    default: byDefault,
    help,
    kind: 'a multiaddr like /ip4/0.0.0.0/tcp/4006',
    parse(text) {
      try {
        return parseAddress(text)
      } catch {
        return bad
      }
    },
  }
}

function hostPort(byDefault: string, help: string): Flag<HostPort> {
  return {
    default: byDefault,
    help,
    kind: 'a multiaddr of the form /ip4/127.0.0.1/tcp/6006',
    parse(text) {
      const [, kind, host = '', port] = /^\/(ip4|ip6)\/([^/]+)\/tcp\/(\d{1,5})$/.exec(text) ?? []
      const known = kind === 'ip4' ? isIPv4(host) : isIPv6(host)
      return known && Number(port) <= 65_535 ? { host, port: Number(port) } : bad
    },
  }
}

function optional<T>(flag: Flag<T>): Flag<T | undefined> {
  return { ...flag, parse: (text) => (text === '' ? undefined : flag.parse(text)) }
}

function parseOrigins(text: string): readonly string[] | typeof bad {
  const origins = text.split(',').map((origin) => origin.trim())
  return origins.every((origin) => origin === '*' || URL.parse(origin)?.origin === origin) ? origins : bad
}
