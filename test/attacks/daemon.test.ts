/** The nastiest attacks, through a real daemon. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestDaemon, startDaemon } from '../support/daemon.ts'
import { grpcTransport, type Transport } from '../support/grpc-client.ts'
import { AttackedDatabase } from './attacked-daemon.ts'
import type { Attack } from './sandbox/attack.ts'
import { SANDBOX_ATTACKS } from './sandbox-attacks.ts'

const NASTIEST = [
  'loops without end',
  'catches what stops its generators',
  'recurses without end',
  'is a deep source',
  'grows an array and catches the failure',
  'backtracks in a pattern',
  'searches an array without end',
  'asks a long chain of prototypes',
  'compares large texts again and again',
  'throws what never becomes a text',
]
const attacks: Attack[] = SANDBOX_ATTACKS.flatMap(([, all]) => all).filter(({ name }) => NASTIEST.includes(name))

/** As long as a busy machine may take for what takes a second. */
const TIMEOUT_MS = 120_000

describe('a daemon', () => {
  let daemon: TestDaemon
  let transport: Transport
  let innocent: AttackedDatabase

  beforeAll(async () => {
    daemon = await startDaemon()
    transport = grpcTransport(daemon.grpcAddress)
    innocent = new AttackedDatabase(transport)
    await innocent.make({ kind: 'validator', source: 'return event.patch.json_patch.good' })
  }, TIMEOUT_MS)

  afterAll(async () => {
    transport[Symbol.dispose]()
    await daemon[Symbol.asyncDispose]()
  })

  test.each(attacks)('that has a $kind that $name answers others', { timeout: TIMEOUT_MS }, async (attack) => {
    const attacked = new AttackedDatabase(transport)
    const made = await attacked.make(attack).catch((error: Error) => `refused: ${error.message}`)
    const answer = made ?? (await afterOthers(attacked, attack))
    expect(answer).toMatch(/^refused: /)
    expect(answer).toContain(attack.expected.replace(/^\w+: (validator )?/, ''))
  })

  test('still has what was written, and takes more', { timeout: TIMEOUT_MS }, async () => {
    const before = Number(await innocent.count())
    expect(await innocent.create({ good: true })).not.toContain('refused')
    expect(await innocent.count()).toBe(String(before + 1))
  })

  /** The attack's answer, after calls that began later. */
  async function afterOthers(attacked: AttackedDatabase, { kind }: Attack): Promise<string> {
    if (kind === 'filter') await attacked.create()
    const answer = kind === 'filter' ? attacked.count() : attacked.create()
    expect(await innocent.create({ good: true })).not.toContain('refused')
    expect(await innocent.create({ good: false })).toBe('refused: app denied net record body')
    expect(await innocent.listDatabases()).toBeGreaterThan(1)
    return answer
  }
})
