/**
 * Prints how long a daemon takes to answer others while attacks on the sandbox run one after the other.
 * `node test/attacks/measure-latency.ts`
 */
import { startDaemon } from '../support/daemon.ts'
import { grpcTransport } from '../support/grpc-client.ts'
import { AttackedDatabase } from './attacked-daemon.ts'
import { SANDBOX_ATTACKS } from './sandbox-attacks.ts'

const ATTACKERS = 4
const SECONDS = 10

await using daemon = await startDaemon()
using transport = grpcTransport(daemon.grpcAddress)
const innocent = new AttackedDatabase(transport)
await innocent.make({ kind: 'validator', source: 'return true' })
await innocent.create()

/** One call after the other until the time is up. */
async function measure(call: () => Promise<unknown>, endMs: number): Promise<number[]> {
  const times: number[] = []
  while (performance.now() < endMs) {
    const startMs = performance.now()
    await call()
    times.push(performance.now() - startMs)
  }
  return times.toSorted((a, b) => a - b)
}

function show(title: string, times: readonly number[]): void {
  const at = (part: number): string => (times[Math.floor((times.length - 1) * part)] ?? 0).toFixed(1)
  console.log(`${title}: ${times.length} calls, ms: median ${at(0.5)}, 99 % ${at(0.99)}, max ${at(1)}`)
}

async function measureAll(title: string): Promise<void> {
  const endMs = performance.now() + SECONDS * 1000
  const [lists, writes, reads] = await Promise.all([
    measure(() => innocent.listDatabases(), endMs),
    measure(() => innocent.create(), endMs),
    measure(() => innocent.has(), endMs),
  ])
  show(`${title}, ListDBs`, lists)
  show(`${title}, Has`, reads)
  show(`${title}, Create with a validator`, writes)
}

await measureAll('at rest')
const attacks = SANDBOX_ATTACKS.flatMap(([aim, all]) => (/uses up|built-ins/.test(aim) ? all : []))
let next = 0
let done = 0
const stopping = new AbortController()
const attackers = Array.from({ length: ATTACKERS }, async () => {
  while (!stopping.signal.aborted) {
    const attack = attacks[next++ % attacks.length]
    if (attack?.kind !== 'validator') continue
    const database = new AttackedDatabase(transport)
    await database.make(attack).then(
      () => database.create(),
      () => {},
    )
    done++
  }
})
await measureAll(`under attack by ${ATTACKERS}`)
stopping.abort()
await Promise.all(attackers)
console.log(`${done} attacks`)
