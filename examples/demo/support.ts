import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Ports of the loopback that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer()
      return new Promise<typeof server>((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
    }),
  )
  return Promise.all(
    servers.map((server) => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      return new Promise<number>((resolve) => server.close(() => resolve(port)))
    }),
  )
}

/** A line of progress, kept in place on a terminal and printed every tenth elsewhere. */
export class Progress {
  readonly #total: number
  #lastTenth = -1

  constructor(total: number) {
    this.#total = total
  }

  show(imported: number, followed: number): void {
    const line = `  imported ${imported} of ${this.#total}, followed ${followed}`
    if (process.stdout.isTTY) {
      process.stdout.write(`\r${line}   `)
      return
    }
    const tenth = Math.floor((10 * Math.min(imported, followed)) / this.#total)
    if (tenth > this.#lastTenth) console.log(line)
    this.#lastTenth = Math.max(tenth, this.#lastTenth)
  }

  end(): void {
    if (process.stdout.isTTY) process.stdout.write('\n')
  }
}

/** Looks every 50 ms until the condition holds; throws after two minutes. */
export async function awaitUntil(condition: () => boolean, onLook: () => void): Promise<void> {
  const deadline = performance.now() + 120_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the other daemon did not catch up in two minutes')
    onLook()
    await delay(50)
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
