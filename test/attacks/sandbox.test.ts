/** Every attack on the sandbox, through the real one: what comes of it, and what it does to others. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { createSandbox, type Sandbox } from '../../src/db/sandbox/index.ts'
import { validator } from './sandbox/attack.ts'
import { runAttack, TIME_MS } from './sandbox/run-attack.ts'
import { SANDBOX_ATTACKS } from './sandbox-attacks.ts'

/** As long as a busy machine may take for what takes a second. */
const TIMEOUT_MS = 120_000

const clock: Clock = { nowMs: () => TIME_MS, after: () => () => {} }

/** Judges as it should if nothing that it uses was changed, and if it meets nothing that others left. */
const INNOCENT = validator(
  'judges the documents of another database',
  `const { name, list } = event.patch.json_patch
  const copy = JSON.parse(JSON.stringify(list)).map((x) => x + 1)
  copy.push(...new Set([7, 7]))
  const clean = Reflect.ownKeys(globalThis).length === 3 && Object.keys(Object.prototype).length === 0
  const same = [...copy].sort().join() === '2,3,4,7' && /^F\\w+o$/.test(name) && \`\${{}}\` === '[object Object]'
  return clean && same && Date.now() === ${TIME_MS} && typeof leak === 'undefined' ? name === 'Fido' : 'poisoned'`,
  'accepted | denied: ',
  {
    documents: [
      { name: 'Fido', list: [1, 2, 3] },
      { name: 'Fiasko', list: [1, 2, 3] },
    ],
  },
)

test('the attacks are many, and each has a name of its own', () => {
  const names = SANDBOX_ATTACKS.flatMap(([aim, attacks]) => attacks.map(({ kind, name }) => `${aim} ${kind} ${name}`))
  expect(names.length).toBeGreaterThan(60)
  expect(new Set(names).size).toBe(names.length)
})

describe.each(SANDBOX_ATTACKS)('a function that %s', (_, attacks) => {
  // With one thread for quick works, others that are judged afterwards meet the realms that were attacked.
  let sandbox: Sandbox
  let elsewhere: Sandbox

  beforeAll(() => {
    sandbox = createSandbox({ logger: silentLogger, clock, threads: 1 })
    elsewhere = createSandbox({ logger: silentLogger, clock, threads: 1 })
  })

  afterAll(() => Promise.all([sandbox.close(), elsewhere.close()]))

  test.each(attacks)('$kind $name', { timeout: TIMEOUT_MS }, async (attack) => {
    const attacked = runAttack(sandbox, attack)
    const attackedElsewhere = runAttack(elsewhere, attack)
    expect(await runAttack(sandbox, INNOCENT)).toBe(INNOCENT.expected)
    expect(await attacked).toBe(attack.expected)
    expect(await attackedElsewhere).toBe(attack.expected)
    expect(await runAttack(sandbox, INNOCENT)).toBe(INNOCENT.expected)
  })
})
