import { format } from 'node:util'
import type { ComponentLogger, Logger as Libp2pLogger } from '@libp2p/interface'
import type { Logger } from '../../core/logger.ts'

/**
 * Hands libp2p's errors to our logger, at level debug: most are about peers that went away, which callers hear of anyway.
 * Its tracing is dropped.
 */
export function libp2pLogger(logger: Logger): ComponentLogger {
  const scoped = (name: string): Libp2pLogger => {
    const silent = Object.assign(() => {}, { enabled: false })
    return Object.assign(() => {}, {
      enabled: false,
      trace: silent,
      error: (pattern: unknown, ...values: unknown[]) => {
        logger.debug({ part: name }, format(plainPlaceholders(pattern), ...values))
      },
      newScope: (suffix: string) => scoped(`${name}:${suffix}`),
    })
  }
  return { forComponent: scoped }
}

/** libp2p has placeholders of its own, %p for peers and %e for errors among them; all print well as texts. */
function plainPlaceholders(pattern: unknown): unknown {
  return typeof pattern === 'string' ? pattern.replaceAll(/%[abcekpt]/g, '%s') : pattern
}
