/**
 * What go-threads does wrongly with write validators, read filters and schemas. Titles begin with the number of the fault
 * in docs/compatibility.md.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, found, idsOf, newNotes } from '../../support/notes.ts'

/** Texts that end a literal or begin code, where they are pasted into a program. */
const CRAFTED = [
  `it's`,
  `"quoted"`,
  `back\\slash`,
  `line\u2028separator\u2029`,
  `'); Object.prototype.pwned = true; ('`,
  `\${process.exit()}`,
]

let host: TestHost

beforeAll(async () => {
  host = await startHost()
})

afterAll(() => host[Symbol.asyncDispose]())

describe('a function', () => {
  it('8.2-13: gets texts as values, never as code', async () => {
    const { notes } = await newNotes(host, [], {
      writeValidator: `
        const { type, json_patch: patch } = event.patch
        return {}.pwned === undefined && (type === 'save' || patch[patch.name] === patch.name)`,
      readFilter: 'return {}.pwned === undefined ? instance : null',
    })
    const documents = CRAFTED.map((name, index) => ({ _id: `n${index}`, name, [name]: name }))
    await notes.create(documents.map(bytesOf))
    await notes.save(documents.map((each) => bytesOf({ ...each, n: 1 })))
    expect(await found(notes)).toEqual(documents.map((each) => ({ ...each, n: 1 })))
  })

  it('8.2-14: that failed or ran out of steps leaves nothing for the next call', async () => {
    const body = (ending: string) =>
      `if (event._id === 'throws') throw new Error('no'); if (event._id === 'spins') while (true) {} ${ending}`
    const { notes } = await newNotes(host, [], { writeValidator: body('return true') })
    await expect(notes.create([bytesOf({ _id: 'throws' })])).rejects.toThrow('running write validator func: Error: no')
    await expect(notes.create([bytesOf({ _id: 'spins' })])).rejects.toMatchObject({ code: 'WRITE_DENIED' })
    for (const _id of ['a', 'b', 'c']) await notes.create([bytesOf({ _id })])
    expect(await idsOf(notes)).toEqual(['a', 'b', 'c'])
  })

  it.each([
    ['endless loops', 'while (true) {}'],
    ['endless memory', "let text = 'x'; while (true) text += text"],
    ['endless recursion', 'function f() { return f() } return f()'],
  ])('8.2-15: is stopped in %s, and holds up no other database', async (_, writeValidator) => {
    const bad = await newNotes(host, [], { writeValidator })
    const good = await newNotes(host, [], { writeValidator: 'return true' })
    const [denied] = await Promise.allSettled([
      bad.notes.create([bytesOf({ _id: 'a' })]),
      good.notes.create([bytesOf({ _id: 'a' })]),
    ])
    expect(denied.status).toBe('rejected')
    expect(await idsOf(good.notes)).toEqual(['a'])
  })

  it.each([
    ['its global object', 'return this'],
    ['a cycle', 'const cycle = {}; cycle.cycle = cycle; return cycle'],
  ])('8.2-29: may answer %s', async (_, body) => {
    const validated = await newNotes(host, [], { writeValidator: body })
    const denied = validated.notes.create([bytesOf({ _id: 'a' })])
    await expect(denied).rejects.toThrow(/^app denied net record body: map\[/)
    const filtered = await newNotes(host, [{ _id: 'a' }], { readFilter: body })
    const [outcome] = await Promise.allSettled([filtered.notes.findById('a')])
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'READ_FILTER_FAILED' })
  })
})

describe('a schema', () => {
  it('8.2-18: that refers to other places fetches nothing', async () => {
    let requests = 0
    const server = createServer((_, response) => {
      requests++
      response.end('{}')
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    for (const $ref of [`http://127.0.0.1:${port}/schema.json`, `file://${import.meta.filename}`]) {
      const schema = JSON.stringify({ properties: { _id: { type: 'string' }, other: { $ref } } })
      const { notes } = await newNotes(host, [], { schema })
      await expect(notes.create([bytesOf({ other: 1 })])).rejects.toMatchObject({ code: 'INVALID_SCHEMA' })
    }
    expect(requests).toBe(0)
    await new Promise((resolve) => server.close(resolve))
  })
})
