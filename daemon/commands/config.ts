import { resolve } from 'node:path'
import { stringify } from 'yaml'
import type { Command } from '../commands.ts'
import { loadConfig, type ReadConfig } from '../config.ts'
import { settingNamed } from '../settings.ts'
import { UsageError } from '../usage-error.ts'

const USAGE = `Usage: threadsd config print [-config FILE] [-flag value]...
       threadsd config check [-config FILE] [-flag value]...

print   shows every setting as it would be used, and where it comes from: the default, a file, a variable or a flag. The
        output can be used as a file for -config
check   says whether the daemon would take the settings. Ends with exit code 0 if so

No setting holds a secret: keys stand in files of their own.
`

export const command: Command = {
  help: 'show the settings in use and where each comes from, or check a file',

  async run([action, ...args]) {
    const isHelp = action === '-help' || action === '--help' || action === '-h'
    if (!isHelp && action !== 'print' && action !== 'check') throw new UsageError('config needs print or check')
    const read = isHelp ? undefined : await loadConfig(args, process.env)
    if (read === undefined) {
      process.stdout.write(USAGE)
      return 0
    }
    for (const warning of read.warnings) process.stderr.write(`threadsd: ${warning}\n`)
    process.stdout.write(action === 'print' ? textOf(read) : 'The settings can be used.\n')
    return 0
  },
}

function textOf({ given }: ReadConfig): string {
  const rows = Object.entries(given).map(([name, { source, text }]) => {
    const isPath = settingNamed(name)?.path === true && text !== ''
    return { line: `${name}: ${scalar(isPath ? resolve(text) : text)}`, source: source.replace(`: ${name}`, '') }
  })
  const width = Math.min(60, Math.max(...rows.map(({ line }) => line.length)))
  return rows.map(({ line, source }) => `${line.padEnd(width)}  # ${source}\n`).join('')
}

/** As YAML. Numbers and booleans need no quotes to be what they are. */
function scalar(text: string): string {
  return /^(\d{1,15}|true|false)$/.test(text) ? text : stringify(text, { lineWidth: 0 }).trim()
}
