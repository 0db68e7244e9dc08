import { OTHER_SETTINGS, SETTING_NAMES, settingNamed, variableOf } from '../../daemon/settings.ts'

const BEGIN = '<!-- generated: settings -->\n'
const END = '<!-- end -->'

/** docs/configuration.md with its table of settings as it must be. */
export function withSettingsTable(text: string): string {
  const start = text.indexOf(BEGIN) + BEGIN.length
  const end = text.indexOf(END, start)
  if (start < BEGIN.length || end < 0) throw new Error('there is no place for the table of settings')
  return `${text.slice(0, start)}\n${settingsTable()}\n${text.slice(end)}`
}

function settingsTable(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { help = '', default: byDefault = '', kind = '' } = settingNamed(name) ?? {}
    const why = OTHER_SETTINGS[name]?.why
    const meaning = why === undefined ? help : `${help}: ${why}`
    return [code(name), code(variableOf(name)), byDefault === '' ? '' : code(byDefault), meaning, kind]
  })
  const head = ['key, and flag with a dash', 'variable', 'default', 'meaning', 'must be']
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function code(text: string): string {
  return `\`${text}\``
}
