import fc from 'fast-check'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { textOfUtf8, utf8 } from '../../../../src/core/bytes.ts'
import type { Clock } from '../../../../src/core/clock.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import { createSandbox, JUDGE_VERSION } from '../../../../src/db/sandbox/index.ts'
import { request, summary, TIME_NS, WRITER } from './requests.ts'

const clock: Clock = { nowMs: () => 1_700_000_000_000, after: () => () => {} }
const sandbox = createSandbox({ logger: silentLogger, clock })
afterAll(() => sandbox.close())

/** Documents with what has broken scripts and encoders before. */
const awkwardText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    "it's",
    'say "hi"',
    'back\\slash',
    '\u2028\u2029',
    '\u0000',
    '</script>',
    '${x}',
    '`',
    '\ud800',
    '__proto__',
  ),
)
const awkwardValue = fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 })
const awkwardDocument = fc.dictionary(awkwardText, fc.oneof(awkwardText, awkwardValue), { maxKeys: 5 })

describe('a write validator', () => {
  test('accepts with true and refuses with all else', async () => {
    const verdicts = await sandbox.judge([
      request('return true'),
      request('return false'),
      request('return "no cats"'),
      request('throw new TypeError("oh")'),
    ])
    expect(verdicts).toEqual([
      { accepted: true },
      { accepted: false, reason: 'denied', message: 'app denied net record body' },
      { accepted: false, reason: 'denied', message: 'app denied net record body: no cats' },
      {
        accepted: false,
        reason: 'threw',
        message: expect.stringMatching(
          /^running write validator func: TypeError: oh at _validate \(<function>:1:\d+\)$/,
        ),
      },
    ])
  })

  test('gets the writer, the event and the instance', async () => {
    const [verdict] = await sandbox.judge([
      request('return JSON.stringify([writer, event, instance])', { b: 1 }, { a: [null] }),
    ])
    const event = {
      timestamp: Number(TIME_NS),
      _id: 'a',
      collection_name: 'Things',
      patch: { type: 'create', instance_id: 'a', json_patch: { b: 1 } },
    }
    expect(summary(verdict)).toBe(`denied: ${JSON.stringify([WRITER, event, { a: [null] }])}`)
  })

  test('gets no instance where there is none', async () => {
    const [verdict] = await sandbox.judge([request('return instance === undefined && arguments.length === 3')])
    expect(summary(verdict)).toBe('accepted')
  })

  test('gets texts unchanged, whatever they hold', async () => {
    const validator = `
      const { text, units } = event.patch.json_patch
      if (text !== instance.text) return 'event and instance differ'
      return text.length === units.length && units.every((unit, i) => text.charCodeAt(i) === unit)`
    await fc.assert(
      fc.asyncProperty(fc.array(awkwardText, { minLength: 1 }), async (texts) => {
        const requests = texts.map((text) => {
          const document = {
            text: text.toWellFormed(),
            units: Array.from({ length: text.length }, (_, i) => text.toWellFormed().charCodeAt(i)),
          }
          return request(validator, document, document)
        })
        expect(new Set((await sandbox.judge(requests)).map(summary))).toEqual(new Set(['accepted']))
      }),
    )
  })

  test('may use newer ECMAScript', async () => {
    const source = 'const { name } = event.patch.json_patch; return name?.startsWith("F") ?? `x` !== "x"'
    await sandbox.checkFunction(source, 'write-validator')
    const verdicts = await sandbox.judge([request(source, { name: 'Fido' }), request(source)])
    expect(verdicts.map(summary)).toEqual(['accepted', 'denied: '])
  })

  test('gets verdicts in the order of the requests, for batches of any size', async () => {
    const requests = Array.from({ length: 2500 }, (_, i) =>
      request(i % 2 === 0 ? 'return "even" + event.patch.json_patch.i' : 'return true', { i }),
    )
    const verdicts = await sandbox.judge(requests)
    expect(verdicts.map(summary)).toEqual(requests.map((_, i) => (i % 2 === 0 ? `denied: even${i}` : 'accepted')))
    expect(await sandbox.judge([])).toEqual([])
  })

  test('gets large documents', async () => {
    const instance = { list: Array.from({ length: 150_000 }, (_, i) => ({ i })), text: 'é'.repeat(1_000_000) }
    const [verdict] = await sandbox.judge(
      [request('return instance.list.length === 150000 && instance.text.length === 1000000', {}, instance)],
      { budget: 'author' },
    )
    expect(summary(verdict)).toBe('accepted')
  })

  test('reaches the limit of an author with a quarter of the steps', async () => {
    const source = 'for (let i = 0; i < event.patch.json_patch.turns; i++); return true'
    const few = request(source, { turns: 4_500_000 })
    const many = request(source, { turns: 5_500_000 })
    const tooMany = request(source, { turns: 20_500_000 })
    const asAuthor = await sandbox.judge([few, many], { budget: 'author' })
    expect(asAuthor.map(summary)).toEqual(['accepted', 'limit: validator timed out: more than 10000000 steps'])
    const asJudge = await sandbox.judge([many, tooMany])
    expect(asJudge.map(summary)).toEqual(['accepted', 'limit: validator timed out: more than 40000000 steps'])
  })

  test('is not judged by an engine it is not meant for', async () => {
    const strange = { ...request('return true'), judge: 'quickjs-9.0.0/7' }
    await expect(sandbox.judge([request('return true'), strange])).rejects.toMatchObject({ code: 'SANDBOX_DOWN' })
    expect(request('return true').judge).toBe(JUDGE_VERSION)
  })

  test('does not see where on earth its host stands', async () => {
    vi.stubEnv('TZ', 'Asia/Kolkata')
    expect(new Date(2020, 0, 1).toISOString()).toBe('2019-12-31T18:30:00.000Z')
    const abroad = createSandbox({ logger: silentLogger })
    const [verdict] = await abroad.judge([request('return new Date(2020, 0, 1).toISOString() + new Date(0)')])
    await abroad.close()
    vi.unstubAllEnvs()
    expect(summary(verdict)).toBe('denied: 2020-01-01T00:00:00.000ZThu Jan 01 1970 00:00:00 GMT+0000')
  })
})

describe('the check of a function', () => {
  test.each([
    ['nothing', ''],
    ['a return', 'return true'],
    ['a comment at its end', 'return true // yes'],
    ['a strict body', '"use strict"; return this === undefined'],
    ['an inner function', 'function f() { return 1 } return f() === 1'],
  ])('takes %s', async (_, source) => {
    await sandbox.checkFunction(source, 'write-validator')
    await sandbox.checkFunction(source, 'read-filter')
  })

  test.each([
    ['what is no ECMAScript', 'return ('],
    ['a second function', 'return true } function more() { return 1'],
    ['code behind the function', 'return true }); evil(); (function () {'],
    ['code behind a call of the function', 'return true } (1), function () {'],
    ['a list of methods', 'return true }, more() {'],
    ['super', 'return super.toString()'],
    ['what is not strict: with', 'with (event) { return true }'],
    ['what is not strict: octal numbers', 'return 017'],
    ['what is not strict: equal parameters', 'function f(a, a) {} return true'],
    ['modules', 'import fs from "node:fs"'],
    ['a source that is too long', `return true ${' '.repeat(256 * 1024)}`],
  ])('refuses %s', async (_, source) => {
    const failure = { code: 'INVALID_FUNCTION', message: expect.stringMatching(/^compiling js func: ./) }
    await expect(sandbox.checkFunction(source, 'write-validator')).rejects.toMatchObject(failure)
    await expect(sandbox.checkFunction(source, 'read-filter')).rejects.toMatchObject(failure)
  })

  test('says which limit a source reaches when it is compiled', async () => {
    const deep = `return ${'('.repeat(1e5)}1${')'.repeat(1e5)}`
    await expect(sandbox.checkFunction(deep, 'write-validator')).rejects.toMatchObject({
      code: 'INVALID_FUNCTION',
      message: 'compiling js func: it ran out of stack: more than 320 KiB of its thread',
    })
  })

  test('does not run it', async () => {
    await sandbox.checkFunction('while (true) {}', 'read-filter')
  })
})

describe('a read filter', () => {
  const fido = utf8('{"_id":"a","name":"Fido","secret":1}')
  const rex = utf8('{"_id":"b","name":"Rex"}')

  async function show(source: string, documents: Uint8Array[]): Promise<(string | undefined)[]> {
    const shown = await sandbox.filter(source, WRITER, documents)
    return shown.map((bytes) => bytes && textOfUtf8(bytes))
  }

  test('shows, changes and hides documents, in their order', async () => {
    const source = 'if (instance.name === "Rex") return null; delete instance.secret; return instance'
    expect(await show(source, [fido, rex, fido])).toEqual([
      '{"_id":"a","name":"Fido"}',
      undefined,
      '{"_id":"a","name":"Fido"}',
    ])
    expect(await sandbox.filter(source, WRITER, [])).toEqual([])
  })

  test('gives back the same bytes for what it does not change', async () => {
    const shown = await sandbox.filter('return instance', WRITER, [fido, rex])
    expect(shown[0]).toBe(fido)
    expect(shown[1]).toBe(rex)
  })

  test('may show much more than it was given', async () => {
    const shown = await show(
      'return { text: "x".repeat(4e6) }',
      Array.from({ length: 10 }, () => rex),
    )
    expect(shown.map((text) => text?.length)).toEqual(Array.from({ length: 10 }, () => 4_000_011))
  })

  test('knows its reader', async () => {
    const source = 'return { reader: typeof reader, arguments: arguments.length }'
    const [named] = await sandbox.filter('return { reader }', WRITER, [fido])
    const [anonymous] = await sandbox.filter(source, undefined, [fido])
    expect(named && textOfUtf8(named)).toBe(`{"reader":"${WRITER}"}`)
    expect(anonymous && textOfUtf8(anonymous)).toBe('{"arguments":2,"reader":"undefined"}')
  })

  test('knows the time of its host', async () => {
    expect(await show('return { now: Date.now() }', [fido])).toEqual(['{"now":1700000000000}'])
  })

  test('shows any document as it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(awkwardDocument, { minLength: 1, maxLength: 20 }), async (documents) => {
        const texts = documents.map((document) => JSON.stringify(document))
        const copies = await show('return { copy: instance }', texts.map(utf8))
        expect(copies.map((text) => JSON.parse(text ?? '').copy)).toEqual(texts.map((text) => JSON.parse(text)))
      }),
    )
  })

  test.each([
    ['throws', 'throw "boom"', 'running read filter func: boom'],
    ['never ends', 'while (true) {}', 'running read filter func: filter timed out: more than 40000000 steps'],
    [
      'needs too much memory',
      'const a = []; while (true) a.push(new Uint8Array(1e6).fill(1))',
      'running read filter func: filter ran out of memory: more than 256 MiB',
    ],
    ['is no function body', 'return (', 'compiling js func: SyntaxError: unexpected token in expression'],
    ['shows a function', 'return { a() {} }', 'json: unsupported type: function'],
    ['shows NaN', 'return [NaN]', 'json: unsupported value: NaN'],
    ['shows a cycle', 'const a = {}; a.a = a; return a', 'json: unsupported value: cyclic'],
    ['shows a BigInt', 'return 1n', 'json: unsupported type: bigint'],
    ['shows too much', 'return "x".repeat(5e6)', 'json: more than 4194304 characters'],
    ['shows too many', 'return new Array(2 ** 31)', 'json: more than 4194304 characters'],
  ])('that %s fails the read as a whole', async (_, source, message) => {
    const onlyForRex = `if (instance.name !== 'Rex') return instance; ${source}`
    const failure = { code: 'READ_FILTER_FAILED', message: expect.stringContaining(message) }
    await expect(sandbox.filter(onlyForRex, WRITER, [fido, rex])).rejects.toMatchObject(failure)
    expect(await sandbox.filter('return instance', WRITER, [rex])).toEqual([rex])
  })
})
