#!/usr/bin/env node
/** Time for open calls and queued writes when the daemon is asked to stop. */
const STOP_MS = 10_000
/** Exit code after a fault nobody caught: the state of the process is unknown, what is acknowledged is on disk. */
const EXIT_FAULT = 70

/** The first that has all of the compile cache. */
const OLDEST_NODE = [22, 10] as const

async function main(): Promise<void> {
  // All is loaded here: what main.ts imports itself would be compiled at each start, and an old Node cannot load it.
  const { keepCompiledCode, storeCompiledCode } = await import('./compile-cache.ts')
  keepCompiledCode(process.env)
  const [{ commandOf }, { helpText, loadConfig }] = await Promise.all([import('./commands.ts'), import('./config.ts')])
  const command = await commandOf(process.argv.slice(2))
  if (command !== undefined) {
    process.exitCode = await command.run(process.argv.slice(3))
    return
  }
  const settings = await loadConfig(process.argv.slice(2), process.env)
  if (settings === undefined) {
    process.stdout.write(helpText())
    return
  }
  const { config, warnings } = settings
  // gRPC's own lines on stderr: what they tell also comes as an error, or is a line of our log.
  process.env.GRPC_VERBOSITY ??= 'NONE'
  // Loaded only now: usage errors and -help answer at once.
  const [{ createLogger }, { startDaemon }] = await Promise.all([import('./logger.ts'), import('./compose.ts')])
  const logger = createLogger({ level: config.debug ? 'debug' : config.logLevel, file: config.logFile })
  const die = (error: unknown): never => {
    logger.error({ error }, 'fault that nobody caught; stopping at once')
    process.exit(EXIT_FAULT)
  }
  process.on('uncaughtException', die).on('unhandledRejection', die)
  // A reader of the banner may close its end; that is no reason to die.
  process.stdout.on('error', () => {})
  for (const warning of warnings) logger.warn({}, warning)

  const starting = startDaemon(config, logger)
  stopOnSignal(async () => {
    const daemon = await starting
    await daemon.stop()
  })
  const daemon = await starting
  process.stdout.write(`Welcome to Threads!\nYour peer ID is ${daemon.peerId}\n`)
  storeCompiledCode()
}

/** The first signal stops the daemon in order, the second at once. */
function stopOnSignal(stop: () => Promise<void>): void {
  let stopping = false
  const onSignal = (): void => {
    if (stopping) process.exit(1)
    stopping = true
    process.stdout.write('Gracefully stopping... (press Ctrl+C again to force)\n')
    setTimeout(() => fail(new Error(`not stopped within ${STOP_MS / 1000} s`)), STOP_MS).unref()
    stop().then(() => process.exit(0), fail)
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
}

/** One line that says why, and exit code 1. */
function fail(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error)
  const hint = hasHint(error) ? error.hint : ''
  const end = /[.?]$/.test(message) || hint === '' ? '' : '.'
  process.stderr.write(`threadsd: ${[`${oneLine(message)}${end}`, hint].join(' ').trim()}\n`)
  process.exit(1)
}

/** Errors of libraries may quote whole stacks. */
function oneLine(message: string): string {
  return message
    .replaceAll(/\n\s+at .*/g, '')
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')
}

/** Told by its shape: nothing is loaded where an error is to be told. */
function hasHint(error: unknown): error is Error & { hint: string } {
  return error instanceof Error && 'hint' in error && typeof error.hint === 'string'
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const [oldestMajor, oldestMinor] = OLDEST_NODE
if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
  fail(new Error(`needs Node ${OLDEST_NODE.join('.')} or later, this is ${process.versions.node}`))
}
main().catch(fail)
