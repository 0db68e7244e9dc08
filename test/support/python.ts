import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readProject, ROOT } from './sources.ts'

const REQUIREMENTS = 'test/support/python/requirements.txt'

export interface PythonRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export function hasPython(): boolean {
  return spawnSync('python3', ['--version']).status === 0
}

/**
 * Path of a Python with the packages of requirements.txt, in a virtual environment that is kept in the temporary folder
 * from run to run. The first run needs a package index.
 */
export async function pythonWithGrpc(): Promise<string> {
  const wanted = createHash('sha256').update(readProject(REQUIREMENTS)).digest('hex').slice(0, 12)
  const home = join(tmpdir(), `threads-python-${wanted}`)
  if (!existsSync(home)) await install(home)
  return join(home, 'bin/python')
}

/** Made beside its place and then moved there: it is never seen half done, also not by a second test run. */
async function install(home: string): Promise<void> {
  const draft = await mkdtemp(`${home}-`)
  const python = join(draft, 'bin/python')
  await succeed('python3', ['-m', 'venv', draft])
  const options = ['--quiet', '--disable-pip-version-check', '-r', join(ROOT, REQUIREMENTS)]
  await succeed(python, ['-m', 'pip', 'install', ...options])
  try {
    await rename(draft, home)
  } catch (error) {
    await rm(draft, { recursive: true })
    if (!existsSync(home)) throw error
  }
}

/** Makes `threads_pb2` and `threads_pb2_grpc` in `folder`, as the README tells users to. */
export async function generateStubs(python: string, folder: string): Promise<void> {
  const out = [`--python_out=${folder}`, `--grpc_python_out=${folder}`]
  await succeed(python, ['-m', 'grpc_tools.protoc', '-I', join(ROOT, 'proto'), ...out, 'threads.proto'])
}

export async function runProgram(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<PythonRun> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

async function succeed(command: string, args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await runProgram(command, args)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed (${code}):\n${stdout}${stderr}`)
}
