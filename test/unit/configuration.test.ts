/** docs/configuration.md lists the settings that there are. `vitest -u` brings its table up to date. */
import { join } from 'node:path'
import { parse } from 'yaml'
import { expect, it } from 'vitest'
import { settingNamed } from '../../daemon/settings.ts'
import { withSettingsTable } from '../support/settings-table.ts'
import { readProject, ROOT } from '../support/sources.ts'

const DOCUMENT = 'docs/configuration.md'
const text = readProject(DOCUMENT)

it('the document has the table of settings as they are', async () => {
  await expect(withSettingsTable(text)).toMatchFileSnapshot(join(ROOT, DOCUMENT))
})

it('the files shown in the document have settings that there are, with values that they may have', () => {
  const shown = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map(
    ([, yaml = '']) => parse(yaml) as Record<string, unknown>,
  )
  const entries = shown.flatMap((file) => Object.entries(file))
  expect(entries.length).toBeGreaterThan(3)
  const wrong = entries.filter(([name, value]) => settingNamed(name)?.schema.safeParse(String(value)).success !== true)
  expect(wrong).toEqual([])
})
