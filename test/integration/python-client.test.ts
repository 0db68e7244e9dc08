/** A client in another language, made from proto/ alone. Skipped only where there is no python3. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'
import { generateStubs, hasPython, pythonWithGrpc, runProgram } from '../support/python.ts'
import { ROOT } from '../support/sources.ts'

const INSTALL_MS = 300_000

if (!hasPython()) console.warn('python3 was not found: the test of the Python client is skipped')

describe.skipIf(!hasPython())('a Python client made from proto/', () => {
  let daemon: TestDaemon
  let python: string
  let stubs: string
  beforeAll(async () => {
    stubs = await mkdtemp(join(tmpdir(), 'threads-stubs-'))
    python = await pythonWithGrpc()
    await generateStubs(python, stubs)
    daemon = await startDaemon()
  }, INSTALL_MS)
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]()
    await rm(stubs, { recursive: true })
  })

  it('goes the main path of the API', async () => {
    const script = join(ROOT, 'test/support/python/main_path.py')
    const run = await runProgram(python, [script, daemon.grpcAddress], { PYTHONPATH: stubs })
    const steps = ['token', 'new db', 'collection', 'create', 'find', 'save', 'write transaction', 'listen', 'delete']
    expect(run.stderr).toBe('')
    expect(run).toMatchObject({ code: 0, stdout: steps.map((step) => `${step}\n`).join('') })
  })
})
