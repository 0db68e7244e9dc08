import type { HostPort } from '../src/api/index.ts'
import type { Address } from '../src/core/address.ts'
import type { Identity } from '../src/core/identity.ts'
import type { PeerId } from '../src/core/peer-id.ts'
import {
  address,
  boolean,
  directory,
  duration,
  file,
  hostPort,
  identities,
  oneOf,
  optional,
  origins,
  peers,
  type SettingType,
  text,
  wholeNumber,
} from './setting-types.ts'

/** Settings of the daemon. Members are named as flags and keys of files are; durations are in ms. */
export interface Config {
  repo: string
  hostAddr: Address
  announceAddr: Address | undefined
  apiAddr: HostPort
  apiProxyAddr: HostPort
  tlsCert: string | undefined
  tlsKey: string | undefined
  allowIdentities: 'anyone' | readonly Identity[]
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
  minFreeBytes: number
  feedBytes: number
  maxMessageBytes: number
  maxConnections: number
  maxCalls: number
  maxHeldBytes: number | undefined
  corsOrigins: readonly string[]
  replicateFor: 'anyone' | 'none' | readonly PeerId[]
  maxUnsolicitedBytes: number
  maxUnsolicitedThreads: number
  maxLogs: number
  maxClockDrift: number
  transactionIdle: number
  transactionTotal: number
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Setting<T> extends SettingType<T> {
  readonly default: string
  readonly help: string
}

const MIB = 1024 * 1024
/** Largest whole number that a text may name. */
const MAX = 999_999_999_999_999

/** The one table of settings: flags, variables, keys of files, checks, help and documentation all come from it. */
export const SETTINGS: { readonly [Name in keyof Config]: Setting<Config[Name]> } = {
  repo: { ...directory, default: '.threads', help: 'directory of all data' },
  hostAddr: { ...address, default: '/ip4/0.0.0.0/tcp/4006', help: 'where other hosts reach this one (libp2p)' },
  announceAddr: { ...optional(address), default: '', help: 'if set, the only address told to other hosts' },
  apiAddr: { ...hostPort, default: '/ip4/127.0.0.1/tcp/6006', help: 'where clients reach the daemon: gRPC' },
  apiProxyAddr: { ...hostPort, default: '/ip4/127.0.0.1/tcp/6007', help: 'where browsers reach the daemon: gRPC-Web' },
  tlsCert: {
    ...optional(file),
    default: '',
    help: 'file with the certificate that clients are shown, in PEM; both ports of clients then speak TLS only',
  },
  tlsKey: { ...optional(file), default: '', help: 'file with the private key of that certificate, in PEM' },
  allowIdentities: {
    ...identities,
    default: 'anyone',
    help: 'whose calls are answered: anyone, or public keys separated by commas, and then nobody without a token',
  },
  connHighWater: {
    ...wholeNumber(1, 100_000),
    default: '400',
    help: 'connections above which idle ones are closed',
  },
  enableNetPubsub: {
    ...boolean,
    default: 'false',
    help: 'also exchange records by gossipsub; whoever knows a thread ID can then get them, encrypted',
  },
  keepAliveInterval: { ...duration('1s', '24h'), default: '5s', help: 'time between pings on websockets' },
  disableNetPulling: { ...boolean, default: 'false', help: 'do not ask other hosts for records at intervals' },
  netPullingLimit: { ...wholeNumber(1, 1_000_000), default: '10000', help: 'records of a log asked for at once' },
  netPullingStartAfter: { ...duration('1ms', '24h'), default: '1s', help: 'time from start to the first pull' },
  netPullingInitialInterval: { ...duration('1ms', '24h'), default: '1s', help: 'length of the first pull cycle' },
  netPullingInterval: { ...duration('1ms', '24h'), default: '10s', help: 'length of later pull cycles' },
  debug: { ...boolean, default: 'false', help: 'the same as -logLevel debug' },
  logLevel: {
    ...oneOf('warn', 'debug', 'info', 'error'),
    default: 'warn',
    help: 'least level of the lines written to stderr',
  },
  logFile: { ...optional(file), default: '', help: 'file that gets the log too' },
  durability: {
    ...oneOf('full', 'relaxed'),
    default: 'full',
    help: 'answer a write after fsync, or up to 100 ms before it',
  },
  minFreeBytes: {
    ...wholeNumber(0, MAX),
    default: String(64 * MIB),
    help: 'room on the disk below which writes are refused',
  },
  feedBytes: {
    ...wholeNumber(MIB, MAX),
    default: String(64 * MIB),
    help: 'what the journal of commits may take on the disk: how far back a listener can resume',
  },
  maxMessageBytes: {
    ...wholeNumber(1024, 256 * MIB),
    default: String(4 * MIB),
    help: 'largest request taken from a client',
  },
  maxConnections: {
    ...wholeNumber(1, 100_000),
    default: '4000',
    help: 'connections of clients taken at once, by gRPC and by gRPC-Web each',
  },
  maxCalls: { ...wholeNumber(1, 1_000_000), default: '10000', help: 'calls of all clients at once' },
  maxHeldBytes: {
    ...optional(wholeNumber(MIB, MAX)),
    default: '',
    help: 'bytes that calls of clients may hold, 4 times maxMessageBytes at least; if empty, 256 MiB or that',
  },
  corsOrigins: {
    ...origins,
    default: '*',
    help: 'origins whose pages may use gRPC-Web, separated by commas; * for any',
  },
  replicateFor: {
    ...peers,
    default: 'anyone',
    help: 'whose unknown threads are kept when another host asks: anyone, none, or peer ids separated by commas',
  },
  maxUnsolicitedBytes: {
    ...wholeNumber(0, MAX),
    default: String(10 * 1024 * MIB),
    help: 'bytes of records kept in such threads',
  },
  maxUnsolicitedThreads: { ...wholeNumber(0, 10_000_000), default: '10000', help: 'number of such threads' },
  maxLogs: { ...wholeNumber(1, 1_000_000), default: '5000', help: 'logs of one thread, with their branches' },
  maxClockDrift: {
    ...duration('1ms', '24h'),
    default: '10m',
    help: 'how far ahead of the clock records may be; those further ahead wait',
  },
  transactionIdle: {
    ...duration('1ms', '24h'),
    default: '10s',
    help: 'how long a transaction may be idle before it is aborted',
  },
  transactionTotal: {
    ...duration('1ms', '24h'),
    default: '30s',
    help: 'how long a transaction may take before it is aborted',
  },
}

export interface OtherSetting extends Setting<unknown> {
  /** Why it is not taken. */
  readonly why: string
  /** It stops the start unless it is empty. */
  readonly refused?: true
}

const NO_MONGO = { kind: 'empty', schema: text, default: '', help: 'refused if not empty', refused: true } as const
const WHY_NO_MONGO = 'MongoDB is not supported; data is kept in the directory that -repo names'

/** Settings of go-threads that mean nothing here. Given ones are named in a warning, or refused. */
export const OTHER_SETTINGS: Readonly<Record<string, OtherSetting>> = {
  connLowWater: {
    ...wholeNumber(0, 100_000),
    default: '100',
    help: 'no effect',
    why: 'idle connections are closed above -connHighWater only',
  },
  connGracePeriod: {
    ...duration('0s', '24h'),
    default: '20s',
    help: 'no effect',
    why: 'connections in use are never closed',
  },
  disableExchangeEdgesMigration: {
    ...boolean,
    default: 'false',
    help: 'no effect',
    why: 'there is nothing to migrate',
  },
  badgerLowMem: { ...boolean, default: 'false', help: 'no effect', why: 'the store needs little memory as it is' },
  mongoUri: { ...NO_MONGO, why: WHY_NO_MONGO },
  mongoDatabase: { ...NO_MONGO, why: WHY_NO_MONGO },
}

/** Those of SETTINGS and OTHER_SETTINGS. */
export function settingNamed(name: string): Setting<unknown> | undefined {
  if (Object.hasOwn(SETTINGS, name)) return SETTINGS[name as keyof Config]
  return Object.hasOwn(OTHER_SETTINGS, name) ? OTHER_SETTINGS[name] : undefined
}

/** In the order in which they are listed. */
export const SETTING_NAMES: readonly string[] = [...Object.keys(SETTINGS), ...Object.keys(OTHER_SETTINGS)]

/** The variable of the environment of a setting. */
export function variableOf(name: string): string {
  return `${ENV_PREFIX}${name.toUpperCase()}`
}

export const ENV_PREFIX = 'THRDS_'
