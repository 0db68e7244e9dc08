/** docs/compatibility.md says what the tests show. `vitest -u` brings its generated parts up to date. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { VECTOR_TABLES, withGeneratedParts } from '../support/compatibility.ts'
import { filesUnder, readProject, ROOT } from '../support/sources.ts'

const DOCUMENT = 'docs/compatibility.md'
const FAULTS = [
  { section: '8.1', count: 27 },
  { section: '8.2', count: 30 },
  { section: '8.3', count: 24 },
].flatMap(({ section, count }) => Array.from({ length: count }, (_, index) => `${section}-${index + 1}`))

const text = readProject(DOCUMENT)
const rows = [...text.matchAll(/^\| (8\.\d-\d+) \| (.+) \| (.+) \| (.+) \|$/gm)].map(
  ([, fault = '', what = '', here = '', tests = '']) => ({ fault, what, here, tests }),
)

/** Tests that a cell names: the path of the file, and the beginning of a title. */
function referencesIn(cell: string): { path: string; title: string }[] {
  return [...cell.matchAll(/`([\w/-]+)`(?: \*([^*]+)\*)?/g)].map(([, path = '', title = '']) => ({
    path: `test/${path}.test.ts`,
    title,
  }))
}

describe('the document', () => {
  it('has the tables of differences and flags as they are', async () => {
    await expect(withGeneratedParts(text)).toMatchFileSnapshot(join(ROOT, DOCUMENT))
  })

  it('names cases that there are', () => {
    const unknown = VECTOR_TABLES.flatMap(({ file, rows: differences }) => {
      const { cases }: { cases: { name?: string; scene?: string }[] } = JSON.parse(
        readProject(`test/interop/vectors/${file}`),
      )
      const names = cases.map(({ name, scene }) => name ?? scene ?? '')
      // Differences of schemas name the instance after the case.
      const isKnown = (named: string): boolean => names.some((name) => `${named} `.startsWith(`${name} `))
      return differences.flatMap((difference) => difference.cases).filter((named) => !isKnown(named))
    })
    expect(unknown).toEqual([])
  })
})

describe('the table of faults', () => {
  it('has every fault once, in order', () => {
    expect(rows.map(({ fault }) => fault)).toEqual(FAULTS)
  })

  it('names tests that there are', () => {
    const wrong = rows.flatMap(({ fault, tests }) =>
      referencesIn(tests)
        .filter(({ path, title }) => !existsSync(join(ROOT, path)) || !readProject(path).includes(title))
        .map(({ path, title }) => `${fault}: ${path} ${title}`),
    )
    expect(wrong).toEqual([])
    const without = rows.filter(({ tests }) => referencesIn(tests).length === 0 && tests !== 'none')
    expect(without).toEqual([])
  })

  it('names the file of every test that is named by a fault', () => {
    const named = filesUnder(['test/integration/faults'], '.test.ts').flatMap((path) => {
      const titles = [...readProject(path).matchAll(/['"](8\.\d-\d+)(?:, (8\.\d-\d+))?['":]/g)]
      return titles.flatMap(([, first = '', second]) =>
        [first, ...(second === undefined ? [] : [second])].map((fault) => ({ path, fault })),
      )
    })
    expect(named.length).toBeGreaterThan(40)
    const missing = named.filter(({ path, fault }) => {
      const row = rows.find((each) => each.fault === fault)
      return row === undefined || !referencesIn(row.tests).some((reference) => reference.path === path)
    })
    expect(missing).toEqual([])
  })
})
