import { destination, type Logger as Pino, multistream, pino, stdSerializers } from 'pino'
import type { Logger } from '../src/core/logger.ts'
import type { LogLevel } from './settings.ts'

export interface LoggerOptions {
  level: LogLevel
  /** File that gets every line too. It grows; rotating it is the operator's business. */
  file?: string | undefined
}

/** JSON lines on stderr. Written at once, so that the last words of a process that dies are seen. */
export function createLogger({ level, file }: LoggerOptions): Logger {
  const files = file === undefined ? [] : [{ level, stream: destination({ dest: file, sync: true }) }]
  const stream = multistream([{ level, stream: destination({ dest: 2, sync: true }) }, ...files])
  return adapt(pino({ level, base: null, serializers: { error: stdSerializers.err } }, stream))
}

/** `root` has no component yet: a child of a child is named by its path. */
function adapt(root: Pino, path = ''): Logger {
  const log = path === '' ? root : root.child({ component: path })
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    child: (component) => adapt(root, path === '' ? component : `${path}.${component}`),
  }
}
