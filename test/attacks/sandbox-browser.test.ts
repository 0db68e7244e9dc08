/** Every attack on the sandbox's engine in a browser: what comes of it is what comes of it in Node. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer, Work } from '../../src/db/sandbox/messages.ts'
import { hasChromium, type Site, startChromium, startSite } from '../support/browser/browser.ts'
import { bundleEngine, engineWasm } from './browser/bundle.ts'
import { runAttackOn } from './sandbox/run-attack.ts'
import { SANDBOX_ATTACKS } from './sandbox-attacks.ts'

/** Only in functions that run in the page. */
declare const engine: typeof import('./browser/page.ts')

/** As long as a busy machine may take for what takes a second. */
const TIMEOUT_MS = 120_000

if (!hasChromium()) console.warn('chromium was not found: the attacks in a browser are skipped')

describe.skipIf(!hasChromium())('in a browser', () => {
  let browser: Browser
  let site: Site
  let page: Page

  beforeAll(async () => {
    ;[browser, site] = await Promise.all([startChromium(), bundleEngine().then(startSite)])
    page = await browser.newPage()
    await page.goto(site.origin)
    await page.evaluate((wasm) => engine.start(wasm), await engineWasm())
  })

  afterAll(async () => {
    await browser.close()
    await site[Symbol.asyncDispose]()
  })

  const run = (work: Work): Promise<Answer[]> => page.evaluate((given) => engine.run(given), work)

  describe.each(SANDBOX_ATTACKS)('a function that %s', (_, attacks) => {
    test.each(attacks)('$kind $name', { timeout: TIMEOUT_MS }, async (attack) => {
      expect(await runAttackOn(run, attack)).toBe(attack.expected)
    })
  })
})
