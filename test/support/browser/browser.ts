import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { rolldown } from 'rolldown'

/** Where the Debian package `chromium` puts it. */
const CHROMIUM = '/usr/bin/chromium'
const PAGE = '<!doctype html><title>threads</title><script src="/page.js"></script>'

/** A server of pages, whose origin is its own. */
export interface Site extends AsyncDisposable {
  readonly origin: string
}

export function hasChromium(): boolean {
  return existsSync(CHROMIUM)
}

/** Without a window. It talks to nobody but the sites it is sent to. */
export function startChromium(): Promise<Browser> {
  const args = ['--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--disable-sync']
  return chromium.launch({ executablePath: CHROMIUM, args })
}

/** The script of a file of this directory, for browsers. */
export async function bundlePage(file = 'page.ts'): Promise<string> {
  // The client has functions of its users evaluated, of which the bundler warns.
  const bundle = await rolldown({
    input: join(import.meta.dirname, file),
    platform: 'browser',
    logLevel: 'silent',
  })
  const { output } = await bundle.generate({ format: 'iife', name: 'threads' })
  await bundle.close()
  return output[0].code
}

/** Answers every path with a page that loads the script. */
export async function startSite(script: string): Promise<Site> {
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js'
    response.setHeader('content-type', `text/${isScript ? 'javascript' : 'html'}; charset=utf-8`)
    response.end(isScript ? script : PAGE)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    origin: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
