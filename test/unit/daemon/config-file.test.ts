import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../../daemon/config.ts'
import type { Config } from '../../../daemon/settings.ts'
import { runDaemon } from '../../support/daemon.ts'

let directory: string
let file: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'threadsd-'))
  file = join(directory, 'some.yaml')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

async function configOf(text: string, args: string[] = []): Promise<Config | undefined> {
  writeFileSync(file, text)
  return (await loadConfig(['-config', file, ...args], {}))?.config
}

describe('a file with settings', () => {
  it('may hold texts, numbers, booleans and lists', async () => {
    const text = `
# a comment
apiAddr: /ip4/0.0.0.0/tcp/6006
maxCalls: 5
debug: true
netPullingInterval: 1m30s
announceAddr:
corsOrigins:
  - https://example.com
  - http://localhost:8080
`
    expect(await configOf(text)).toMatchObject({
      apiAddr: { host: '0.0.0.0', port: 6006 },
      maxCalls: 5,
      debug: true,
      netPullingInterval: 90_000,
      announceAddr: undefined,
      corsOrigins: ['https://example.com', 'http://localhost:8080'],
    })
  })

  it('may be empty', async () => {
    for (const text of ['', '# nothing\n', '---\n']) expect(await configOf(text)).toMatchObject({ repo: '.threads' })
  })

  it('names paths from where it stands', async () => {
    const config = await configOf('repo: data\nlogFile: ../log\n')
    expect(config).toMatchObject({ repo: join(directory, 'data'), logFile: join(directory, '../log') })
    expect(await configOf('repo: /var/data\nlogFile: ""\n')).toMatchObject({ repo: '/var/data', logFile: undefined })
    expect(await configOf('repo: data\n', ['-repo', 'here'])).toMatchObject({ repo: 'here' })
  })

  it.each([
    ['repo: [', / is not YAML: .* at line 1/],
    ['repo: a\nrepo: b\n', / is not YAML: Map keys must be unique/],
    ['- repo\n', / is not a list of settings/],
    ['just text\n', / is not a list of settings/],
    ['repo: { a: b }\n', /: repo is not a text, a number, true, false or a list of these/],
    ['corsOrigins: [[a]]\n', /: corsOrigins is not a text/],
    ['1: x\n', /: 1 is not a known setting/],
    ['maxCalls: 1.5\n', /: maxCalls: "1.5" is not a whole number/],
    ['maxCalls: .inf\n', /: maxCalls: "Infinity" is not a whole number/],
    ['? { a: b }\n: x\n', / is not a known setting/],
    [`a: &a [x]\nb: &b [${'*a,'.repeat(200)}]\nc: [${'*b,'.repeat(200)}]`, / is not YAML: Excessive alias count/],
    ['['.repeat(100_000), / is not YAML: /],
    ['#'.repeat(1024 * 1024 + 1), / is larger than 1048576 bytes/],
  ])('is refused: %#', async (text, message) => {
    const error: unknown = await configOf(text).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ hint: '-help lists the flags.', message: expect.stringMatching(message) })
    expect(String(error)).toContain(file)
  })

  it('must be there if it is named', async () => {
    await expect(loadConfig(['-config', file], {})).rejects.toThrow(`-config: the file ${file} cannot be read: ENOENT`)
    await expect(loadConfig([], { THRDS_CONFIG: directory })).rejects.toThrow(/^THRDS_CONFIG: the file .*EISDIR/)
  })
})

describe('threadsd.yaml in the repository', () => {
  const read = async (args: string[] = [], env: Record<string, string> = {}) =>
    (await loadConfig(['-repo', directory, ...args], env))?.config

  it('is read if it is there and no other file is named', async () => {
    expect(await read()).toMatchObject({ maxCalls: 10_000 })
    writeFileSync(join(directory, 'threadsd.yaml'), 'maxCalls: 7\nlogFile: log\n')
    expect(await read()).toMatchObject({ maxCalls: 7, logFile: join(directory, 'log') })
    expect((await loadConfig([], { THRDS_REPO: directory }))?.config.maxCalls).toBe(7)
    writeFileSync(file, 'maxCalls: 8\n')
    expect(await read(['-config', file])).toMatchObject({ maxCalls: 8, logFile: undefined })
  })

  it('cannot name another repository', async () => {
    writeFileSync(join(directory, 'threadsd.yaml'), 'repo: other\n')
    await expect(read()).rejects.toThrow('repo cannot be set by a file that is found in the repository')
  })

  it('need not be there, nor the repository', async () => {
    const missing = join(directory, 'missing')
    expect((await loadConfig(['-repo', missing], {}))?.config.repo).toBe(missing)
    writeFileSync(file, '')
    expect((await loadConfig(['-repo', file], {}))?.config.repo).toBe(file)
  })
})

describe('threadsd config', () => {
  it('prints every setting, where it comes from, and so that it can be read again', async () => {
    mkdirSync(join(directory, 'data'))
    writeFileSync(file, `repo: data\ncorsOrigins: ["*"]\nmaxCalls: 5\n`)
    const env = { THRDS_LOGFILE: '/tmp/a log: #1', THRDS_MAXLOGS: '9' }
    const printed = await runDaemon(['config', 'print', '-config', file, '-debug'], env)
    expect(printed).toMatchObject({ code: 0, stderr: '' })
    const lines = printed.stdout.split('\n').map((line) => line.replace(/ +#/, ' #'))
    expect(lines).toEqual(
      expect.arrayContaining([
        `repo: ${join(directory, 'data')} # ${file}`,
        `corsOrigins: "*" # ${file}`,
        'maxLogs: 9 # THRDS_MAXLOGS',
        'debug: true # -debug',
        'durability: full # default',
      ]),
    )
    const config = await configOf(printed.stdout)
    const before = (await loadConfig(['-debug', '-maxCalls=5', '-repo', join(directory, 'data')], env))?.config
    expect(config).toEqual(before)
  })

  it('checks without starting anything', async () => {
    writeFileSync(file, `repo: ${join(directory, 'none')}\n`)
    const good = await runDaemon(['config', 'check', '-config', file])
    expect(good).toMatchObject({ code: 0, stderr: '', stdout: 'The settings can be used.\n' })
    writeFileSync(file, 'apiAdr: x\n')
    const bad = await runDaemon(['config', 'check', '-config', file])
    expect(bad).toMatchObject({ code: 1, stdout: '' })
    expect(bad.stderr).toBe(
      `threadsd: ${file}: apiAdr is not a known setting; did you mean apiAddr? -help lists the flags.\n`,
    )
    expect(await runDaemon(['config', 'verify'])).toMatchObject({ code: 1, stdout: '' })
    expect((await runDaemon(['config', '-help'])).stdout).toContain('Usage: threadsd config print')
  })
})
