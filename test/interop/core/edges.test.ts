import { expect } from 'vitest'
import { addressFromBytes } from '../../../src/core/address.ts'
import { cidFromBytes } from '../../../src/core/cbor.ts'
import {
  type AddressEntry,
  addressesEdge,
  type EdgePair,
  edgeOf,
  fnv1a64,
  type HeadEntry,
  headsEdge,
} from '../../../src/core/edge.ts'
import { peerIdFromBytes } from '../../../src/core/peer-id.ts'
import { testVectors, type VectorCase } from '../../support/vectors.ts'

testVectors('edges.json', {
  heads: (one) => {
    if (one.string('name') === 'a log id that is a prefix of another') {
      // Ids this short are refused before they reach an edge; the order is that of their bytes all the same.
      const pairs = one.list('entries').map((entry): EdgePair => [entry.bytes('logID'), entry.bytes('head')])
      checkEdge(one, edgeOf(pairs))
      return
    }
    const entries = one.list('entries').map(headEntry)
    checkEdge(one, headsEdge(entries))
    expect(headsEdge(entries.toReversed())).toBe(headsEdge(entries))
  },
  addresses: (one) => {
    const entries = one.list('entries').map(addressEntry)
    checkEdge(one, addressesEdge(entries))
    expect(addressesEdge(entries.toReversed())).toBe(addressesEdge(entries))
  },
  store: (one) => {
    const { heads, addresses } = finalEntries(one.list('operations'))
    expect(addressesEdge(addresses)).toBe(one.bigint('addressesEdge'))
    // Go hashes nothing where the only head was set to undefined; both that and 0 say "no heads".
    const expected = one.bigint('headsEdge')
    expect(headsEdge(heads)).toBe(expected === fnv1a64([]) ? 0n : expected)
  },
})

/** The vectors give the hash of nothing for no entries; what is reported, and returned here, is then 0. */
function checkEdge(one: VectorCase, edge: bigint): void {
  const expected = one.bigint('edge')
  expect(expected.toString(16).padStart(16, '0')).toBe(one.string('hex'))
  if (one.list('entries').length > 0) {
    expect(edge).toBe(expected)
  } else {
    expect(edge).toBe(0n)
    expect(fnv1a64([])).toBe(expected)
  }
}

function headEntry(entry: VectorCase): HeadEntry {
  const logId = peerIdFromBytes(entry.bytes('logID'))
  return entry.has('head') ? { logId, head: cidFromBytes(entry.bytes('head')) } : { logId }
}

function addressEntry(entry: VectorCase): AddressEntry {
  return { logId: peerIdFromBytes(entry.bytes('logID')), address: addressFromBytes(entry.bytes('addr')) }
}

/** What a log store holds after the operations: one head a log, each address of a log once. */
function finalEntries(operations: VectorCase[]): { heads: HeadEntry[]; addresses: AddressEntry[] } {
  const heads = new Map<string, HeadEntry>()
  const addresses = new Map<string, AddressEntry>()
  for (const operation of operations) {
    const log = operation.string('logID')
    if (operation.string('op') === 'addAddr') {
      addresses.set(`${log} ${operation.string('addr')}`, addressEntry(operation))
    } else if (operation.has('head')) {
      heads.set(log, headEntry(operation))
    } else {
      heads.delete(log)
    }
  }
  return { heads: [...heads.values()], addresses: [...addresses.values()] }
}
