/**
 * The sandbox's engine in a browser. The page starts a worker with this same script, as hosts do with theirs, hands it
 * works and is handed the answers.
 */
import * as quickjs from '@jitl/quickjs-wasmfile-release-sync'
import type { QuickJSSyncVariant } from 'quickjs-emscripten-core'
import type { Answer, Work } from '../../../src/db/sandbox/messages.ts'
import { meterModule } from '../../../src/db/sandbox/metering.ts'
import { Runner } from '../../../src/db/sandbox/runner.ts'

interface Received {
  readonly data: Message
}

/** The part of both ends of a worker's channel used here. */
interface Channel {
  postMessage(message: Message): void
  addEventListener(type: 'message', listener: (received: Received) => void, options?: { once: boolean }): void
}

declare const document: object | undefined
declare const Worker: new (url: string) => Channel

type Message = { wasm: Uint8Array } | { work: Work } | { answers: Answer[] } | { failure: string }

let worker: Channel | undefined

/** Starts a worker with the engine's WebAssembly, as base64. */
export function start(wasm: string): void {
  worker = new Worker('/page.js')
  worker.postMessage({ wasm: Uint8Array.from(atob(wasm), (char) => char.charCodeAt(0)) })
}

/** One at a time. Rejects if the engine broke. */
export function run(work: Work): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    if (worker === undefined) return reject(new Error('the worker is not started'))
    const settle = ({ data }: Received): void => {
      if ('answers' in data) resolve(data.answers)
      else reject(new Error('failure' in data ? data.failure : 'no answer'))
    }
    worker.addEventListener('message', settle, { once: true })
    worker.postMessage({ work })
  })
}

async function load(wasm: Uint8Array): Promise<Runner> {
  // The types of the package describe its other form, in which this is one level deeper.
  const variant: unknown = quickjs.default
  if (!isVariant(variant)) throw new TypeError('the package has no engine')
  return new Runner({ variant, wasm: await WebAssembly.compile(meterModule(wasm)) })
}

function isVariant(value: unknown): value is QuickJSSyncVariant {
  return typeof value === 'object' && value !== null && 'importModuleLoader' in value
}

function serve(owner: Channel): void {
  let runner: Promise<Runner> | undefined
  const answer = async (message: Message): Promise<void> => {
    if ('wasm' in message) runner = load(message.wasm)
    if (!('work' in message) || runner === undefined) return
    try {
      owner.postMessage({ answers: await (await runner).run(message.work, () => {}) })
    } catch (error) {
      owner.postMessage({ failure: String(error) })
    }
  }
  owner.addEventListener('message', ({ data }) => void answer(data))
}

declare const self: Channel
if (typeof document === 'undefined') serve(self)
