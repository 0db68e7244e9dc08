import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MAIN = join(import.meta.dirname, '../../daemon/main.ts')
const START_MS = 20_000

export interface DaemonOptions {
  /** More flags, such as `{ durability: 'relaxed' }`. They win over those set here. */
  flags?: Record<string, string | number | boolean>
  env?: Record<string, string>
  /** Directory of the data. Default: a new one, removed by `dispose`. */
  repo?: string
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A daemon in a process of its own, on free ports of the loopback. */
export interface TestDaemon extends AsyncDisposable {
  readonly repo: string
  readonly peerId: string
  /** `127.0.0.1:<port>`, gRPC. */
  readonly grpcAddress: string
  /** `http://127.0.0.1:<port>`, gRPC-Web. */
  readonly webAddress: string
  /** `/ip4/127.0.0.1/tcp/<port>/p2p/<peer id>`. */
  readonly hostAddress: string
  /** Time from start to banner of the last start. */
  readonly readyMs: number
  readonly pid: number
  stdout(): string
  stderr(): string
  /** Sends a signal, SIGTERM by default, and waits for the end of the process. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
  /** Starts the daemon anew on the same repository and ports, after `kill` or instead of it. */
  restart(): Promise<void>
}

/** Starts a daemon and waits for its banner. Throws with what it wrote if it ends before, or is not ready in 20 s. */
export async function startDaemon(options: DaemonOptions = {}): Promise<TestDaemon> {
  const repo = options.repo ?? (await mkdtemp(join(tmpdir(), 'threadsd-')))
  const [host, grpc, web] = await freePorts(3)
  const flags = {
    repo,
    hostAddr: `/ip4/127.0.0.1/tcp/${host}`,
    apiAddr: `/ip4/127.0.0.1/tcp/${grpc}`,
    apiProxyAddr: `/ip4/127.0.0.1/tcp/${web}`,
    ...options.flags,
  }
  const start = (): Promise<Running> => ready(launch(argumentsOf(flags), options.env))
  let running = await start()
  const kill = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> => {
    running.process.child.kill(signal)
    return running.process.ended
  }
  return {
    repo,
    grpcAddress: `127.0.0.1:${grpc}`,
    webAddress: `http://127.0.0.1:${web}`,
    get peerId() {
      return running.peerId
    },
    get hostAddress() {
      return `${flags.hostAddr}/p2p/${running.peerId}`
    },
    get readyMs() {
      return running.readyMs
    },
    get pid() {
      return running.process.child.pid ?? 0
    },
    stdout: () => running.process.stdout(),
    stderr: () => running.process.stderr(),
    kill,
    async restart() {
      await kill()
      running = await start()
    },
    async [Symbol.asyncDispose]() {
      await kill('SIGKILL')
      if (options.repo === undefined) await rm(repo, { recursive: true, force: true })
    },
  }
}

/** Runs the daemon with these arguments until it ends by itself, at most 20 s. */
export async function runDaemon(args: readonly string[], env?: Record<string, string>): Promise<Exit> {
  const launched = launch(args, env)
  const timer = setTimeout(() => launched.child.kill('SIGKILL'), START_MS)
  try {
    return await launched.ended
  } finally {
    clearTimeout(timer)
  }
}

/** Ports of the loopback that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = candidates.next().value
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

/** Below the ports that systems give to connections: none of these takes one between now and its use. */
const FIRST_PORT = 10_000
const LAST_PORT = 30_000
const PORTS_PER_PROCESS = 100

/** Those of this process first, so that tests that run side by side do not meet. */
function* candidatePorts(): Generator<number, never> {
  const range = LAST_PORT - FIRST_PORT
  for (let next = process.pid * PORTS_PER_PROCESS; ; next++) yield FIRST_PORT + (next % range)
}

const candidates = candidatePorts()

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

interface Launched {
  readonly child: ChildProcess
  readonly startedAt: number
  readonly ended: Promise<Exit>
  stdout(): string
  stderr(): string
}

interface Running {
  readonly process: Launched
  readonly peerId: string
  readonly readyMs: number
}

function launch(args: readonly string[], env: Record<string, string> = {}): Launched {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // A test run that is broken off leaves no daemon behind.
  const killNow = (): void => void child.kill('SIGKILL')
  process.once('exit', killNow)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      process.removeListener('exit', killNow)
      resolve({ code, signal, stdout, stderr })
    })
  })
  return { child, startedAt: performance.now(), ended, stdout: () => stdout, stderr: () => stderr }
}

async function ready(launched: Launched): Promise<Running> {
  const { child, startedAt } = launched
  const banner = new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`no banner within ${START_MS} ms\n${launched.stdout()}${launched.stderr()}`))
    }, START_MS)
    child.stdout?.on('data', () => {
      const peerId = /^Welcome to Threads!\nYour peer ID is (\S+)\n/m.exec(launched.stdout())?.[1]
      if (peerId === undefined) return
      clearTimeout(timer)
      resolve(peerId)
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      reject(new Error(`the daemon ended before its banner (${code ?? signal}): ${launched.stderr()}`))
    })
  })
  return { process: launched, peerId: await banner, readyMs: performance.now() - startedAt }
}

function argumentsOf(flags: Record<string, string | number | boolean>): string[] {
  return Object.entries(flags).map(([name, value]) => `-${name}=${value}`)
}
