/** The programs in examples/ do what their READMEs say. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'
import { generateStubs, hasPython, pythonWithGrpc, runProgram } from '../support/python.ts'
import { readProject, ROOT } from '../support/sources.ts'

const INSTALL_MS = 300_000

const example = (path: string): string => join(ROOT, 'examples', path)

describe('the examples', () => {
  let daemon: TestDaemon
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'threads-examples-'))
    daemon = await startDaemon()
  })
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  it('share a database between hosts inside a program', async () => {
    const args = ['--conditions=threads-source', example('embedded/main.ts'), join(folder, 'data')]
    const run = await runProgram(process.execPath, args)
    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(run.stdout).toMatch(
      /^joined: \{.*'Ada'.*\}\nupdate: created bo\nreopened: \[.*name: 'Ada'.*name: 'Bo'.*\]\n$/s,
    )
  })

  it('of the client in README.md works as it stands there', async () => {
    const [, code = ''] = /^## Client$[\s\S]*?^```ts\n([\s\S]*?)^```$/m.exec(readProject('README.md')) ?? []
    // Inside of the package, which is imported by its name.
    const program = join(await mkdtemp(join(ROOT, 'test/integration/.readme-')), 'client.ts')
    await writeFile(program, code.replace('http://127.0.0.1:6007', daemon.webAddress))
    try {
      const run = await runProgram(process.execPath, ['--conditions=threads-source', program])
      expect(run).toMatchObject({ code: 0, stderr: '' })
      expect(run.stdout).toMatch(/name: 'Ada',\n\s+age: 13,/)
    } finally {
      await rm(dirname(program), { recursive: true })
    }
  })

  it('share a database between daemons from JavaScript', async () => {
    await using other = await startDaemon()
    const run = await runProgram(process.execPath, [example('javascript/zoo.js'), daemon.webAddress, other.webAddress])
    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(run.stdout).toBe(`Ada 13, Cy 40
app denied net record body: Ada stays
the other daemon has Ada, Bo, Cy
`)
  })

  it.skipIf(!hasPython())(
    'write and query from Python',
    async () => {
      const python = await pythonWithGrpc()
      await generateStubs(python, folder)
      const run = await runProgram(python, [example('python/zoo.py'), daemon.grpcAddress], { PYTHONPATH: folder })
      expect(run).toMatchObject({ code: 0, stderr: '' })
      expect(run.stdout).toMatch(/^Ada 13\naddresses: \d+ key bytes: 64\nINSTANCE_NOT_FOUND\n$/)
    },
    INSTALL_MS,
  )
})
