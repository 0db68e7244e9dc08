import { beforeEach, describe, expect, it } from 'vitest'
import { type CallAccount, CallLedger } from '../../../src/api/call-ledger.ts'

const hostile = {}
const honest = {}
let ledger: CallLedger
let evicted: string[]

beforeEach(() => {
  ledger = new CallLedger({ maxCalls: 4, maxHeldBytes: 100 })
  evicted = []
})

function open(connection: object, name: string): CallAccount {
  const account = ledger.open(connection, () => void evicted.push(name))
  if (account === undefined) throw new Error('there are too many calls')
  return account
}

describe('a ledger of calls', () => {
  it('takes as many calls as it may, and then one of each connection', () => {
    const calls = [1, 2, 3, 4].map((number) => open(hostile, `call ${number}`))
    expect(ledger.open(hostile, () => {})).toBeUndefined()
    const first = open(honest, 'first')
    expect(ledger.open(honest, () => {})).toBeUndefined()
    first.close()
    open(honest, 'second').close()
    calls[0]?.close()
    open(hostile, 'next')
  })

  it('ends the largest call of the connection that holds most, and no more than that', () => {
    open(hostile, 'small').add(30)
    open(hostile, 'large').add(31)
    open(honest, 'honest').add(39)
    expect(evicted).toEqual([])
    open(honest, 'one more').add(1)
    expect(evicted).toEqual(['large'])
  })

  it('ends the call itself if that holds most', () => {
    const account = open(hostile, 'huge')
    account.add(101)
    expect(evicted).toEqual(['huge'])
    account.add(1_000)
    open(honest, 'honest').add(100)
    expect(evicted).toEqual(['huge'])
  })

  it('forgets what was given back, and what a call that is over held', () => {
    const account = open(hostile, 'first')
    account.add(100)
    account.add(-60)
    open(hostile, 'second').add(60)
    account.close()
    account.close()
    open(honest, 'honest').add(40)
    expect(evicted).toEqual([])
  })
})
