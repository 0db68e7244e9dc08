/** A daemon of the demo: a process of its own, with its data in a directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from './client.ts'

const MAIN = join(import.meta.dirname, '../../daemon/main.ts')

export interface Ports {
  readonly host: number
  readonly api: number
  readonly web: number
}

export class Daemon {
  readonly name: string
  readonly client: Client
  readonly #args: string[]
  #process: ChildProcess | undefined

  constructor(name: string, repo: string, ports: Ports) {
    this.name = name
    this.#args = [
      MAIN,
      `--repo=${repo}`,
      `--hostAddr=/ip4/127.0.0.1/tcp/${ports.host}`,
      `--apiAddr=/ip4/127.0.0.1/tcp/${ports.api}`,
      `--apiProxyAddr=/ip4/127.0.0.1/tcp/${ports.web}`,
    ]
    this.client = new Client(`127.0.0.1:${ports.api}`)
  }

  /** Resolves when the daemon serves. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, this.#args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#process = child
    let output = ''
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString()
        if (output.includes('Your peer ID is')) resolve()
      })
      child.once('exit', (code) => reject(new Error(`daemon ${this.name} ended with code ${code}`)))
    })
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  /** Largest memory the process has had so far, in MiB; undefined where the system does not tell. */
  peakMemoryMib(): number | undefined {
    try {
      const status = readFileSync(`/proc/${this.#process?.pid}/status`, 'utf8')
      const kib = /VmHWM:\s+(\d+) kB/.exec(status)?.[1]
      return kib === undefined ? undefined : Math.round(Number(kib) / 1024)
    } catch {
      return undefined
    }
  }
}
