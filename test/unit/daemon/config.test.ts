import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { helpText, readConfig } from '../../../daemon/config.ts'
import { parseDuration } from '../../../daemon/duration.ts'
import { type Config, SETTING_NAMES, SETTINGS } from '../../../daemon/settings.ts'

const configOf = (args: string[], env: Record<string, string> = {}): Config | undefined => readConfig(args, env)?.config

describe('the settings of the daemon', () => {
  it('are those of go-threads when nothing is given', () => {
    expect(configOf([])).toMatchObject({
      repo: '.threads',
      hostAddr: '/ip4/0.0.0.0/tcp/4006',
      announceAddr: undefined,
      apiAddr: { host: '127.0.0.1', port: 6006 },
      apiProxyAddr: { host: '127.0.0.1', port: 6007 },
      connHighWater: 400,
      enableNetPubsub: false,
      keepAliveInterval: 5000,
      disableNetPulling: false,
      netPullingLimit: 10_000,
      netPullingStartAfter: 1000,
      netPullingInitialInterval: 1000,
      netPullingInterval: 10_000,
      durability: 'full',
      maxMessageBytes: 4 * 1024 * 1024,
      maxHeldBytes: undefined,
      corsOrigins: ['*'],
    })
  })

  it('are read in every spelling of a flag', () => {
    const spellings = [['-repo', 'x'], ['-repo=x'], ['--repo=x'], ['--repo', 'x']]
    for (const args of spellings) expect(configOf(args)?.repo).toBe('x')
  })

  it('take everything after the first equals sign as the value', () => {
    expect(configOf(['-repo=a=b'])?.repo).toBe('a=b')
  })

  it('take a boolean flag without a value, and leave the next argument alone', () => {
    expect(configOf(['-debug', '-disableNetPulling=false'])).toMatchObject({ debug: true, disableNetPulling: false })
    expect(() => configOf(['-debug', 'false'])).toThrow('unexpected argument "false"')
  })

  it('come from the environment, where an empty boolean is true and other empty values are not given', () => {
    const env = { THRDS_APIPROXYADDR: '/ip4/0.0.0.0/tcp/7', THRDS_DEBUG: '', THRDS_NETPULLINGLIMIT: '' }
    expect(configOf([], env)).toMatchObject({
      apiProxyAddr: { host: '0.0.0.0', port: 7 },
      debug: true,
      netPullingLimit: 10_000,
    })
  })

  it('follow the command line where the environment says otherwise', () => {
    expect(configOf(['-repo', 'line'], { THRDS_REPO: 'environment' })?.repo).toBe('line')
  })

  it.each([
    [['-foo'], /^-foo is not a known flag$/],
    [['-apiAdr', 'x'], '-apiAdr is not a known flag; did you mean -apiAddr?'],
    [['--confg', 'x'], '-confg is not a known flag; did you mean -config?'],
    [['-config'], '-config needs a value: a file'],
    [['-toString'], '-toString is not a known flag'],
    [['-repo'], '-repo needs a value: a directory'],
    [['-apiAddr', '/dns4/localhost/tcp/6006'], '-apiAddr: "/dns4/localhost/tcp/6006" is not a multiaddr of the form'],
    [['-apiAddr', '/ip4/127.0.0.1/tcp/65536'], '-apiAddr: "/ip4/127.0.0.1/tcp/65536" is not'],
    [['-hostAddr', 'localhost:4006'], '-hostAddr: "localhost:4006" is not a multiaddr'],
    [['-netPullingLimit', '0'], '-netPullingLimit: "0" is not a whole number from 1 to 1000000'],
    [['-netPullingLimit', '1e3'], '-netPullingLimit: "1e3" is not a whole number'],
    [['-keepAliveInterval', '999ms'], '-keepAliveInterval: "999ms" is not a duration from 1s to 24h'],
    [['-netPullingInterval', '0s'], '-netPullingInterval: "0s" is not a duration'],
    [['-debug=perhaps'], '-debug: "perhaps" is not true or false'],
    [['-durability', 'none'], '-durability: "none" is not full or relaxed'],
    [['-replicateFor', 'nobody'], '-replicateFor: "nobody" is not anyone, none or a list of peer ids'],
    [['-allowIdentities', 'me'], '-allowIdentities: "me" is not anyone or a list of public keys'],
    [['-corsOrigins', 'example.com'], '-corsOrigins: "example.com" is not a list of origins'],
    [['-connLowWater', 'many'], '-connLowWater: "many" is not a whole number'],
    [['-maxHeldBytes', '2000000'], '-maxHeldBytes: "2000000" is not at least 4 times maxMessageBytes'],
  ])('refuse %j and say why', (args, message) => {
    expect(() => configOf(args)).toThrow(message)
  })

  it('name the variable when the environment is wrong', () => {
    expect(() => configOf([], { THRDS_DURABILITY: 'none' })).toThrow('THRDS_DURABILITY: "none" is not full or relaxed')
  })

  it('refuse MongoDB without printing its address, which may hold a password', () => {
    const run = (): unknown => configOf(['-mongoUri', 'mongodb://me:secret@host'])
    expect(run).toThrow('-mongoUri: MongoDB is not supported')
    expect(run).not.toThrow('secret')
    expect(configOf([], { THRDS_MONGOURI: '' })).toBeDefined()
  })

  it('warn of flags that have no effect and of variables nobody reads', () => {
    const read = readConfig(['-badgerLowMem'], { THRDS_APIADRR: 'x', OTHER: 'y' })
    expect(read?.warnings).toEqual([
      '-badgerLowMem has no effect: the store needs little memory as it is',
      'THRDS_APIADRR is not a known variable; did you mean THRDS_APIADDR?',
    ])
  })

  it('are all listed by the help, which any spelling asks for', () => {
    for (const args of [['-help'], ['--help'], ['-h'], ['-debug', '-h']]) expect(readConfig(args, {})).toBeUndefined()
    for (const name of [...SETTING_NAMES, 'config']) expect(helpText()).toContain(`-${name} `)
  })

  it('have defaults that their own rules allow', () => {
    for (const [name, flag] of Object.entries(SETTINGS)) {
      expect(() => configOf([`-${name}=${flag.default}`])).not.toThrow()
    }
  })
})

describe('settings in a file', () => {
  const fileOf = (values: Record<string, string>) => ({ path: 'f.yaml', values: new Map(Object.entries(values)) })

  it('come before the defaults, and after the environment and the command line', () => {
    const file = fileOf({ netPullingLimit: '1', maxCalls: '1', maxLogs: '1' })
    const read = readConfig(['-maxLogs=3'], { THRDS_MAXLOGS: '2', THRDS_MAXCALLS: '2' }, file)
    expect(read?.config).toMatchObject({ netPullingLimit: 1, maxCalls: 2, maxLogs: 3, maxConnections: 4000 })
    expect(read?.given).toMatchObject({
      netPullingLimit: { source: 'f.yaml: netPullingLimit', text: '1' },
      maxCalls: { source: 'THRDS_MAXCALLS' },
      maxLogs: { source: '-maxLogs' },
      maxConnections: { source: 'default', text: '4000' },
    })
  })

  it.each([
    [{ apiAdr: 'x' }, 'f.yaml: apiAdr is not a known setting; did you mean apiAddr?'],
    [{ APIADDR: 'x' }, 'f.yaml: APIADDR is not a known setting; did you mean apiAddr?'],
    [{ config: 'x' }, 'f.yaml: config is not a known setting'],
    [{ toString: 'x' }, 'f.yaml: toString is not a known setting'],
    [{ maxCalls: '0' }, 'f.yaml: maxCalls: "0" is not a whole number from 1 to 1000000'],
    [{ mongoUri: 'mongodb://me:secret@host' }, 'f.yaml: mongoUri: MongoDB is not supported'],
  ])('%j are refused', (values, message) => {
    expect(() => readConfig([], {}, fileOf(values))).toThrow(message)
  })

  it('that have no effect are warned of', () => {
    const warning = 'f.yaml: connLowWater has no effect: idle connections are closed above -connHighWater only'
    expect(readConfig([], {}, fileOf({ connLowWater: '1' }))?.warnings).toEqual([warning])
  })
})

describe('a duration', () => {
  it.each([
    ['20s', 20_000],
    ['1m30s', 90_000],
    ['500ms', 500],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['250us', 0.25],
    ['0', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  it.each(['', '20', 's', '1s 2s', '-1s', '1x', '1s2'])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  it('adds up its parts', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(59), fc.nat(59), (h, m, s) => {
        expect(parseDuration(`${h}h${m}m${s}s`)).toBe(((h * 60 + m) * 60 + s) * 1000)
      }),
    )
  })
})
