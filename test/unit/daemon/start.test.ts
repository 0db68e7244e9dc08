import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { startDaemon } from '../../support/daemon.ts'

/** Each takes a third of a millisecond of the start, at best. */
const MAX_MODULES = 1_300

/** What a daemon needs when it is asked for it, and no sooner. */
const LATER = [
  /node_modules\/(@grpc\/reflection|protobufjs|memory-level|yaml|@libp2p\/gossipsub|quickjs-emscripten-core|@jitl)\//,
  /\/daemon\/commands\//,
  /\/src\/client\//,
]

it('a start loads only what serving takes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'threadsd-'))
  const list = join(directory, 'modules.json')
  const program = `
    import { writeFileSync } from 'node:fs'
    import { registerHooks } from 'node:module'
    const urls = new Set()
    registerHooks({ load: (url, context, next) => (urls.add(url), next(url, context)) })
    process.on('exit', () => writeFileSync(${JSON.stringify(list)}, JSON.stringify([...urls])))
  `
  try {
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(program)}` }
    await using daemon = await startDaemon({ env })
    await daemon.kill()
    const urls = JSON.parse(readFileSync(list, 'utf8')) as string[]
    expect(urls.length).toBeGreaterThan(500)
    expect(urls.length).toBeLessThan(MAX_MODULES)
    expect(urls.filter((url) => LATER.some((pattern) => pattern.test(url)))).toEqual([])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
