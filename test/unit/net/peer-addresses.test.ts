import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../../src/core/address.ts'
import { PeerAddresses } from '../../../src/net/peer-addresses.ts'
import { newPeer } from '../../support/fake-replica.ts'
import { openTestStore } from '../../support/host-store.ts'

function address(port: number): ReturnType<typeof parseAddress> {
  return parseAddress(`/ip4/10.0.0.1/tcp/${port}`)
}

describe('addresses of peers', () => {
  it('are the same after a restart, the newest of them', async () => {
    const test = await openTestStore()
    const book = await PeerAddresses.load(test.host)
    const peers = [newPeer().id, newPeer().id] as const
    await Promise.all(Array.from({ length: 20 }, (_, port) => book.add(peers[0], address(port + 1))))
    await book.add(peers[1], address(1))
    await book.add(peers[1], address(1))
    await test.host.close()
    const reopened = await PeerAddresses.load(await test.restart())
    const known = new Map(reopened.all())
    expect(known).toEqual(new Map(book.all()))
    expect(known.get(peers[0])).toEqual(Array.from({ length: 16 }, (_, at) => address(at + 5)))
    expect(known.get(peers[1])).toEqual([address(1)])
  })

  it('that a peer tells stand behind those given, the last it told, and are stored of peers of threads only', async () => {
    const test = await openTestStore()
    const book = await PeerAddresses.load(test.host)
    const [peer, stranger] = [newPeer().id, newPeer().id]
    await book.add(peer, address(1))
    book.hear(peer, [address(2), address(3)])
    book.hear(stranger, [address(9)])
    expect(await book.keep(peer)).toEqual([address(1), address(2), address(3)])
    const many = Array.from({ length: 20 }, (_, port) => address(port + 1))
    book.hear(peer, many)
    expect(await book.keep(peer)).toEqual(many.slice(0, 16))
    book.hear(peer, [address(4)])
    await test.host.close()
    const reopened = await PeerAddresses.load(await test.restart())
    expect([...reopened.all()]).toEqual([[peer, [address(1), address(4)]]])
    expect(await reopened.keep(peer)).toEqual([address(1), address(4)])
  })

  it('that could not be stored are stored when they are given again', async () => {
    const test = await openTestStore()
    const book = await PeerAddresses.load(test.host)
    const peer = newPeer().id
    await book.add(peer, address(1))
    test.faulty.failBatch(1, { stored: false })
    await expect(book.add(peer, address(2))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect.poll(() => test.host.committer.state).toBe('open')
    await book.add(peer, address(2))
    await test.host.close()
    const reopened = await PeerAddresses.load(await test.restart())
    expect([...reopened.all()]).toEqual([[peer, [address(1), address(2)]]])
  })
})
