/** The original JavaScript client, unmodified, and gRPC-Web by hand, in pages of a real browser on other origins. */
import type { QueryJSON } from '@textile/threads-client'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { APIDefinition } from '../../src/api/gen/threads.ts'
import { bundlePage, hasChromium, type Site, startChromium, startSite } from '../support/browser/browser.ts'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'

/** Only in functions that run in the page. */
declare const threads: typeof import('../support/browser/page.ts')

interface Person {
  _id: string
  name: string
  age?: number
}

const LIST_DBS = '/threads.pb.API/ListDBs'

if (!hasChromium()) console.warn('chromium was not found: the tests in a browser are skipped')

describe.skipIf(!hasChromium())('in a browser', () => {
  let browser: Browser
  let script: string
  let site: Site
  let daemon: TestDaemon
  let page: Page
  let pageErrors: unknown[]

  beforeAll(async () => {
    script = await bundlePage()
    // Longer than any test: no transaction ends because its time is up.
    const flags = { transactionIdle: '1h', transactionTotal: '1h' }
    ;[browser, site, daemon] = await Promise.all([startChromium(), startSite(script), startDaemon({ flags })])
  })

  afterAll(async () => {
    await browser.close()
    await site[Symbol.asyncDispose]()
    await daemon[Symbol.asyncDispose]()
  })

  beforeEach(async () => {
    pageErrors = []
    page = await openPage(site)
  })

  afterEach(async () => {
    await page.close()
    expect(pageErrors).toEqual([])
  })

  async function openPage({ origin }: Site): Promise<Page> {
    const opened = await browser.newPage()
    opened.on('pageerror', (error) => pageErrors.push(error))
    await opened.goto(origin)
    return opened
  }

  /** Calls a method with an empty request, by fetch. */
  const callFromPage = (from: Page, url: string) =>
    from.evaluate(async (to) => {
      const headers = { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1', authorization: '' }
      const response = await fetch(to, { method: 'POST', headers, body: new Uint8Array(5) })
      return { type: response.headers.get('content-type'), body: [...new Uint8Array(await response.arrayBuffer())] }
    }, url)

  describe('the original client', () => {
    it('gets a token, makes a database and a collection, creates and finds', async () => {
      const found = await page.evaluate(async (url) => {
        const { client, id } = await threads.newDatabase(url)
        await client.create(id, 'Person', [
          { _id: 'ann', name: 'Ann', age: 40 },
          { _id: 'bob', name: 'Bob', age: 20 },
        ])
        const grown = await client.find<Person>(id, 'Person', new threads.Where('age').ge(30) as QueryJSON)
        return grown.map(({ name }) => name)
      }, daemon.webAddress)
      expect(found).toEqual(['Ann'])
    })

    it('commits a write transaction and discards another', async () => {
      const seen = await page.evaluate(async (url) => {
        const { client, id } = await threads.newDatabase(url)
        const kept = client.writeTransaction(id, 'Person')
        await kept.start()
        await kept.create([{ _id: 'ann', name: 'Ann' }])
        const before = await kept.has(['ann'])
        await kept.end()
        const dropped = client.writeTransaction(id, 'Person')
        await dropped.start()
        await dropped.delete(['ann'])
        await dropped.discard()
        const failure = await dropped.end().catch((error: Error) => error.message)
        return { before, after: await client.has(id, 'Person', ['ann']), failure }
      }, daemon.webAddress)
      expect(seen).toEqual({ before: false, after: true, failure: "can't commit discarded/committed txn" })
    })

    it('leaves nothing of a write transaction whose page is closed', async () => {
      const dbId = await page.evaluate(async (url) => {
        const { client, id } = await threads.newDatabase(url)
        const open = client.writeTransaction(id, 'Person')
        await open.start()
        await open.create([{ _id: 'lost', name: 'Lost' }])
        return id.toString()
      }, daemon.webAddress)
      await page.close()
      page = await openPage(site)
      const names = await page.evaluate(
        async ([url, text]) => {
          const client = new threads.Client(new threads.Context(url))
          const id = threads.ThreadID.fromString(text)
          await client.create(id, 'Person', [{ _id: 'next', name: 'Next' }])
          return (await client.find<Person>(id, 'Person', {})).map(({ name }) => name)
        },
        [daemon.webAddress, dbId] as const,
      )
      expect(names).toEqual(['Next'])
    })

    it('is told of changes', async () => {
      const updates = await page.evaluate(async (url) => {
        const { client, id } = await threads.newDatabase(url)
        const heard: [unknown, string | undefined][] = []
        const deleted = Promise.withResolvers<void>()
        const listener = client.listen<Person>(id, [], (update, error) => {
          if (error !== undefined) deleted.reject(error)
          heard.push([update?.action, update?.instance?.name])
          if (update?.instance === undefined) deleted.resolve()
        })
        // When the listener is there cannot be seen: write until it tells of something.
        while (heard.length === 0) await client.create(id, 'Person', [{ _id: '', name: 'Early' }])
        await client.create(id, 'Person', [{ _id: 'ann', name: 'Ann' }])
        await client.save(id, 'Person', [{ _id: 'ann', name: 'Bea' }])
        await client.delete(id, 'Person', ['ann'])
        await deleted.promise
        listener.close()
        return heard.slice(-3)
      }, daemon.webAddress)
      expect(updates).toEqual([
        ['CREATE', 'Ann'],
        ['SAVE', 'Bea'],
        ['DELETE', undefined],
      ])
    })

    it('is told why a validator refuses a write', async () => {
      const failure = await page.evaluate(async (url) => {
        const { client, id } = await threads.newDatabase(url, {
          writeValidator: (_writer: string, event: { patch: { json_patch: Person } }) => {
            return event.patch.json_patch.name === 'Fido' ? 'no dogs, “please”' : true
          },
        })
        await client.create(id, 'Person', [{ _id: 'ann', name: 'Ann' }])
        return client.save(id, 'Person', [{ _id: 'ann', name: 'Fido' }]).catch((error: Error) => error.message)
      }, daemon.webAddress)
      expect(failure).toBe('app denied net record body: no dogs, “please”')
    })

    it('writes and reads 500 documents of 1 KB at once', async () => {
      const counts = await page.evaluate(async (url) => {
        const { client, id } = await threads.newDatabase(url)
        const people = Array.from({ length: 500 }, (_, index) => ({ _id: `p${index}`, name: 'x'.repeat(1024) }))
        const created = await client.create(id, 'Person', people)
        return [created.length, (await client.find(id, 'Person', {})).length]
      }, daemon.webAddress)
      expect(counts).toEqual([500, 500])
    })
  })

  describe('gRPC-Web by fetch', () => {
    it('is answered, after the browser has asked for leave', async () => {
      const network = await page.context().newCDPSession(page)
      const preflights: number[] = []
      network.on('Network.responseReceived', ({ type, response }) => {
        if (type === 'Preflight') preflights.push(response.status)
      })
      await network.send('Network.enable')
      await page.evaluate(async (url) => {
        await threads.newDatabase(url)
      }, daemon.webAddress)
      const { type, body } = await callFromPage(page, `${daemon.webAddress}${LIST_DBS}`)
      const bytes = Buffer.from(body)
      const end = 5 + bytes.readUInt32BE(1)
      const { dbs } = APIDefinition.methods.listDBs.responseType.decode(bytes.subarray(5, end))
      expect(dbs.map(({ info }) => info?.name)).toContain('people')
      expect(bytes.subarray(end + 5).toString()).toBe('grpc-status: 0\r\n')
      expect(type).toBe('application/grpc-web+proto')
      expect(preflights).toEqual([200])
    })
  })

  describe('a daemon for the pages of some origins', () => {
    let guarded: TestDaemon
    let strange: Site
    let strangePage: Page

    beforeAll(async () => {
      ;[guarded, strange] = await Promise.all([
        startDaemon({ flags: { corsOrigins: `https://app.example,${site.origin}` } }),
        startSite(script),
      ])
    })

    afterAll(async () => {
      await guarded[Symbol.asyncDispose]()
      await strange[Symbol.asyncDispose]()
    })

    beforeEach(async () => {
      strangePage = await openPage(strange)
    })

    afterEach(() => strangePage.close())

    it('answers their calls by fetch and no others', async () => {
      const url = `${guarded.webAddress}${LIST_DBS}`
      expect((await callFromPage(page, url)).body).not.toEqual([])
      await expect(callFromPage(strangePage, url)).rejects.toThrow('Failed to fetch')
    })

    it('takes their websockets and no others', async () => {
      /** Whether the socket opened before it closed. */
      const opens = (from: Page) =>
        from.evaluate(
          (url) =>
            new Promise<boolean>((resolve) => {
              const socket = new WebSocket(url, 'grpc-websockets')
              socket.addEventListener('open', () => resolve(true))
              socket.addEventListener('close', () => resolve(false))
            }),
          `${guarded.webAddress.replace('http:', 'ws:')}${LIST_DBS}`,
        )
      expect([await opens(page), await opens(strangePage)]).toEqual([true, false])
      const token = (from: Page) =>
        from.evaluate(async (url) => {
          const client = new threads.Client(new threads.Context(url))
          return client.getToken(threads.PrivateKey.fromRandom()).catch((error: Error) => `refused: ${error.message}`)
        }, guarded.webAddress)
      expect(await token(page)).toMatch(/^ey/)
      expect(await token(strangePage)).toMatch(/^refused: /)
    })
  })
})
