/** The same documents in other databases, which npm installs into a temporary directory. */
import { execFile, fork } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Figure } from '../measure.ts'
import { orbitdb } from './orbitdb.ts'
import { ours } from './ours.ts'
import type { Peer } from './peer.ts'
import { peerbit, peerbitRust } from './peerbit.ts'
import { pouchdb } from './pouchdb.ts'
import { yjs } from './yjs.ts'

export const PEERS: readonly Peer[] = [ours, orbitdb, peerbit, peerbitRust, pouchdb, yjs]

/** Their figures, and lines of text on versions and on what differs. One that fails says so, and the next is measured. */
export async function* measurePeers(directory: string, documents: number): AsyncGenerator<Figure | string> {
  for (const peer of PEERS) {
    try {
      const loader = await install(peer, join(directory, peer.name.replaceAll(/\W+/g, '-')))
      yield `\n${peer.name}: ${peer.notes}`
      if (peer.packages.length > 0) yield await versionsOf(loader, peer)
      yield* figuresOf(peer, loader, documents)
    } catch (error) {
      yield `${peer.name} could not be measured: ${error instanceof Error ? error.message : String(error)}`
    }
  }
}

/** Answers a module that imports what was installed beside it; empty if nothing had to be. */
async function install({ packages }: Peer, directory: string): Promise<string> {
  if (packages.length === 0) return ''
  await mkdir(directory)
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd: directory })
  const loader = join(directory, 'load.js')
  await writeFile(loader, 'export const load = (name) => import(name)\n')
  return loader
}

async function versionsOf(loader: string, { packages }: Peer): Promise<string> {
  const lock = JSON.parse(await readFile(join(loader, '../package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string }>
  }
  const names = packages.map((name) => name.replace(/(?<=.)@[^/]*$/, ''))
  return names.map((name) => `${name} ${lock.packages[`node_modules/${name}`]?.version}`).join(', ')
}

async function* figuresOf(peer: Peer, loader: string, documents: number): AsyncGenerator<Figure> {
  const args = [peer.name, loader, String(documents)]
  const child = fork(join(import.meta.dirname, 'peer-process.ts'), args, {
    execArgv: process.execArgv,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const figures: Figure[] = []
  child.on('message', (figure: Figure) => figures.push(figure))
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve))
  yield* figures
  if (code !== 0) throw new Error(/^\w*Error.*$/m.exec(complaint)?.[0] ?? `its process ended with ${code}`)
}
