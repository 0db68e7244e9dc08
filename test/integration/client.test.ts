/** One client interface: over a host in this process, over a daemon from Node, and from a page of a real browser. */
import { randomBytes } from 'node:crypto'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, generateIdentityKey } from '../../src/client/index.ts'
import { localClient } from '../../src/db/index.ts'
import { CASES } from '../conformance/client.ts'
import { bundlePage, hasChromium, type Site, startChromium, startSite } from '../support/browser/browser.ts'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'
import { startHost, type TestHost } from '../support/host.ts'

/** Only in functions that run in the page. */
declare const threads: typeof import('../support/browser/client-page.ts')

const key = generateIdentityKey()

describe('the client of an embedded host', () => {
  let host: TestHost
  beforeAll(async () => {
    host = await startHost({ net: { pull: false } })
  })
  afterAll(() => host[Symbol.asyncDispose]())

  it.each(CASES)('$title', async ({ run, expected }) => {
    const { identity } = key
    await using client = localClient(host.databases, { random: randomBytes, identity })
    expect(await run({ client, identity })).toEqual(expected)
  })
})

describe('clients of several hosts', () => {
  it('share a database by its address and key', async () => {
    await using daemon = await startDaemon()
    await using host = await startHost()
    await using remote = connect(daemon.webAddress, { identity: key })
    await using local = localClient(host.databases, { random: randomBytes })
    const collections = [{ name: 'Note', schema: { properties: { _id: { type: 'string' } } } }]
    const first = await remote.create({ collections })
    await first.collection('Note').create({ _id: 'a', text: 'from the daemon' })
    const { addresses, key: databaseKey } = await first.info()
    const joined = await local.join(addresses[0] ?? '', { key: databaseKey, collections, block: true })
    expect([joined.id, (await joined.collection('Note').get('a'))?.['text']]).toEqual([first.id, 'from the daemon'])

    const updates = await joined.collection('Note').listen()
    await first.collection('Note').create({ _id: 'b' })
    expect((await updates.next()).value).toMatchObject({ kind: 'created', id: 'b' })

    const second = await local.create({ collections })
    await second.collection('Note').create({ _id: 'c' })
    const info = await second.info()
    const back = await remote.join(info.addresses[0] ?? '', { key: info.key, collections, block: true })
    expect(await back.collection('Note').has('c')).toBe(true)
  })
})

describe('the client of a daemon', () => {
  let daemon: TestDaemon
  beforeAll(async () => {
    daemon = await startDaemon()
  })
  afterAll(() => daemon[Symbol.asyncDispose]())

  describe('in Node', () => {
    it.each(CASES)('$title', async ({ run, expected }) => {
      await using client = connect(daemon.webAddress, { identity: key })
      expect(await run({ client, identity: key.identity })).toEqual(expected)
    })
  })

  describe.skipIf(!hasChromium())('in a browser', () => {
    let browser: Browser
    let site: Site
    let page: Page
    const pageErrors: unknown[] = []
    beforeAll(async () => {
      const script = await bundlePage('client-page.ts')
      ;[browser, site] = await Promise.all([startChromium(), startSite(script)])
      page = await browser.newPage()
      page.on('pageerror', (error) => pageErrors.push(error))
      await page.goto(site.origin)
    })
    afterAll(async () => {
      await browser.close()
      await site[Symbol.asyncDispose]()
    })

    it.each(CASES.map(({ title, expected }, at) => ({ title, expected, at })))('$title', async ({ at, expected }) => {
      const where = { url: daemon.webAddress, secret: key.secret }
      const run = ([index, options]: readonly [number, typeof where]) => threads.runCase(index, options)
      expect(await page.evaluate(run, [at, where] as const)).toEqual(expected)
      expect(pageErrors).toEqual([])
    })
  })
})
