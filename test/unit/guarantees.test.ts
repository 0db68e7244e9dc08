import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const ROOT = new URL('../../', import.meta.url)
const page = readFileSync(new URL('docs/guarantees.md', ROOT), 'utf8')

interface Reference {
  readonly file: string
  readonly title: string
}

/** The tests of a row: in its last cell, each a file and the beginning of a title. */
function referencesOf(row: string): Reference[] {
  const cell = row.split('|').at(-2) ?? ''
  return cell.split('<br>').map((text) => {
    const [, file = '', title = ''] = /^\s*`([^`]+)`(.*)$/.exec(text) ?? []
    return { file: `test/${file}.test.ts`, title: title.trim() }
  })
}

const rows = page.split('\n').filter((line) => line.startsWith('| ') && !/^\| (What holds|---)/.test(line))

describe('the page of guarantees', () => {
  it('has promises', () => {
    expect(rows.length).toBeGreaterThan(20)
  })

  it.each(rows)('names tests that there are: %s', (row) => {
    for (const { file, title } of referencesOf(row)) {
      const path = new URL(file, ROOT)
      expect(existsSync(path), `${file} is no test`).toBe(true)
      expect(readFileSync(path, 'utf8'), file).toContain(title)
    }
  })
})
