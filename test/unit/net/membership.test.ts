import { beforeEach, describe, expect, it } from 'vitest'
import { peerAddress } from '../../../src/core/address.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import type { NewThreadOptions } from '../../../src/net/index.ts'
import { newPeer } from '../../support/fake-replica.ts'
import { LogMaker, random } from '../../support/log-maker.ts'
import { type NetCore, openCore } from '../../support/net-core.ts'

let core: NetCore
let id: ThreadId
/** Of a caller, his thread key, and a log key he may bring. */
let ada: LogMaker
let bo: LogMaker

beforeEach(async () => {
  core = await openCore({ net: { maxLogs: 6, maxLogAddresses: 3 } })
  id = newThreadId('raw', random)
  ada = new LogMaker()
  bo = new LogMaker(ada.threadKey)
})

/** Options of a caller for a thread with Ada's key. */
function as(
  who: LogMaker,
  options: Omit<NewThreadOptions, 'key' | 'caller'> = {},
): Required<Pick<NewThreadOptions, 'key' | 'caller'>> {
  return { ...options, caller: { identity: identityOf(who.key.publicKey) }, key: ada.threadKey }
}

function logs(): unknown {
  return [...core.entry(id).stored.logs.values()].map((log) => ({
    id: log.id,
    managed: log.managed,
    writable: log.privateKey !== undefined,
    addresses: log.addresses,
  }))
}

const refusal = (code: string, message: string): unknown => expect.objectContaining({ code, message })

describe('creating a thread', () => {
  it('makes a full key and a log of the caller, at this host', async () => {
    const entry = await core.membership.create(id, {})
    expect(entry.stored.key.service).toHaveLength(32)
    expect(entry.stored.key.read).toHaveLength(32)
    const [log] = entry.stored.logs.values()
    expect(logs()).toEqual([{ id: log?.id, managed: true, writable: true, addresses: [peerAddress(core.hostId)] }])
  })

  it('takes a key without read part, and the log key of a caller, private or public', async () => {
    const { service } = ada.threadKey
    await core.membership.create(id, { ...as(ada, { logKey: ada.key }), key: { service } })
    await core.membership.create(id, { ...as(bo, { logKey: bo.key.publicKey }), key: { service } })
    expect(core.entry(id).stored.key.read).toBeUndefined()
    expect(logs()).toMatchObject([
      { id: ada.id, managed: true, writable: true },
      { id: bo.id, managed: true, writable: false },
    ])
  })

  it('that is here gives another caller a log, and refuses the same one a second', async () => {
    await core.membership.create(id, as(ada))
    await core.membership.create(id, as(bo))
    expect(core.entry(id).stored.logs.size).toBe(2)
    await expect(core.membership.create(id, as(ada))).rejects.toEqual(refusal('LOG_EXISTS', 'log already exists'))
  })

  it('that is here takes other log keys, each once, whoever brings them', async () => {
    await core.membership.create(id, as(ada))
    await core.membership.create(id, as(ada, { logKey: ada.key }))
    await core.membership.create(id, as(ada, { logKey: bo.key.publicKey }))
    expect(core.entry(id).stored.logs.size).toBe(3)
    for (const logKey of [ada.key, ada.key.publicKey, bo.key]) {
      for (const who of [ada, bo]) {
        await expect(core.membership.create(id, as(who, { logKey }))).rejects.toEqual(
          refusal('LOG_EXISTS', 'log already exists'),
        )
      }
    }
  })

  it('that is here makes a log the caller’s own that came from a peer', async () => {
    await core.membership.create(id, as(bo))
    await core.replica.addLogs(id, [ada.asPeerLog(newPeer().id)], newPeer().id)
    await core.membership.create(id, as(ada, { logKey: ada.key }))
    expect(core.entry(id).stored.writers.get(identityOf(ada.key.publicKey))).toBe(ada.id)
    expect(logs()).toMatchObject([{ managed: true }, { id: ada.id, managed: true, writable: true }])
  })

  it('that is here needs its key', async () => {
    await core.membership.create(id, as(ada))
    const { service } = ada.threadKey
    const other = new LogMaker().threadKey
    const serviceMismatch = refusal('KEY_MISMATCH', 'service-key mismatch')
    await expect(core.membership.create(id, { ...as(bo), key: other })).rejects.toEqual(serviceMismatch)
    await expect(core.membership.create(id, { caller: as(bo).caller })).rejects.toEqual(serviceMismatch)
    await expect(core.membership.create(id, { ...as(bo), key: { service, read: other.read } })).rejects.toEqual(
      refusal('KEY_MISMATCH', 'read-key mismatch'),
    )
    await core.membership.create(id, { ...as(bo), key: { service } })
    expect(core.entry(id).stored.key).toEqual(ada.threadKey)
  })

  it('that is here without read key brings it', async () => {
    await core.replica.adopt(id, { service: ada.threadKey.service, read: undefined }, newPeer().id)
    await core.membership.create(id, as(ada))
    expect(core.entry(id).stored).toMatchObject({ key: ada.threadKey, unsolicited: false })
  })

  it('keeps what an owner gives with it, and gives no thread two owners', async () => {
    await core.membership.create(id, as(ada, { appData: { name: 'zoo' } }))
    await expect(core.membership.create(id, as(bo, { appData: { name: 'farm' } }))).rejects.toEqual(
      refusal('THREAD_IN_USE', 'thread is in use'),
    )
    expect((await core.restart()).entry(id).stored).toMatchObject({ appData: { name: 'zoo' } })
    expect(core.entry(id).stored.logs.size).toBe(1)
  })

  it('is refused with more logs than a thread may have', async () => {
    await core.membership.create(id, as(ada))
    for (let count = 1; count < 6; count++) await core.membership.create(id, as(new LogMaker()))
    await expect(core.membership.create(id, as(bo))).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(core.entry(id).stored.logs.size).toBe(6)
  })
})

describe('joining a thread', () => {
  it('takes the logs of the peer, and makes one of the caller', async () => {
    const peer = newPeer().id
    await core.membership.join(id, { ...as(bo), logs: [ada.asPeerLog(peer)] })
    expect(logs()).toMatchObject([
      { id: ada.id, managed: false, writable: false, addresses: [peerAddress(peer)] },
      { managed: true, writable: true, addresses: [peerAddress(core.hostId)] },
    ])
  })

  it('makes no log of a caller who can neither read nor brings a key, and counts as wanted all the same', async () => {
    const { service } = ada.threadKey
    await core.replica.adopt(id, { service, read: undefined }, newPeer().id)
    await core.membership.join(id, { ...as(bo, { appData: 'kept' }), key: { service }, logs: [ada.asPeerLog()] })
    expect(core.entry(id).stored).toMatchObject({ unsolicited: false, appData: 'kept' })
    expect(core.entry(id).stored.logs.size).toBe(1)
    expect([...core.threads.unsolicited()]).toEqual([])
  })

  it('leaves out bad logs of the peer, and those over the limit', async () => {
    const forged = { ...ada.asPeerLog(), publicKey: bo.key.publicKey }
    const many = Array.from({ length: 9 }, () => new LogMaker().asPeerLog())
    await core.membership.join(id, { ...as(bo), key: { service: ada.threadKey.service }, logs: [forged, ...many] })
    expect(core.entry(id).stored.logs.size).toBe(6)
    expect(core.entry(id).stored.logs.has(ada.id)).toBe(false)
  })

  it('keeps the address of this host among the addresses of a log, whatever their number', async () => {
    const peers = Array.from({ length: 5 }, () => newPeer().id)
    await core.membership.join(id, { ...as(ada, { logKey: ada.key }), logs: [ada.asPeerLog(...peers)] })
    const [log] = core.entry(id).stored.logs.values()
    expect(log?.addresses).toEqual([core.hostId, ...peers.slice(0, 2)].map(peerAddress))
  })

  it('leaves nothing if it fails', async () => {
    core = await openCore({ net: { maxLogs: 1 } })
    const offered = [ada.asPeerLog(newPeer().id)]
    await expect(core.membership.join(id, { ...as(bo), logs: offered })).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(core.threads.all()).toEqual([])
    expect((await core.restart()).threads.all()).toEqual([])
  })
})

describe('a log key that a client brings', () => {
  const unpulled = (): boolean | undefined => core.entry(id).stored.logs.get(ada.id)?.unpulled

  it('can be written at once where there is nobody else', async () => {
    await core.membership.create(id, as(ada, { logKey: ada.key }))
    expect(unpulled()).toBe(false)
  })

  it('waits for a pull where there are peers, also over a restart', async () => {
    const peer = newPeer().id
    await core.membership.join(id, { ...as(ada, { logKey: ada.key }), logs: [bo.asPeerLog(peer)] })
    expect(unpulled()).toBe(true)
    core = await core.restart()
    expect(unpulled()).toBe(true)
  })

  it('needs no pull if it cannot be written here', async () => {
    const options = as(ada, { logKey: ada.key.publicKey })
    await core.membership.join(id, { ...options, logs: [bo.asPeerLog(newPeer().id)] })
    expect(unpulled()).toBe(false)
  })
})

describe('a replicator', () => {
  it('is named in the logs written here, and can be taken back from those that it was new in', async () => {
    const peer = newPeer().id
    await core.membership.create(id, as(ada, { logKey: ada.key }))
    await core.replica.addLogs(id, [new LogMaker().asPeerLog()], peer)
    const entry = core.entry(id)
    expect(await core.membership.addReplicator(entry, peer)).toEqual([ada.id])
    expect(await core.membership.addReplicator(entry, peer)).toEqual([])
    await core.membership.create(id, as(bo, { logKey: bo.key.publicKey }))
    const changed = await core.membership.addReplicator(entry, peer)
    expect(changed).toEqual([bo.id])
    await core.membership.removeReplicator(entry, peer, changed)
    expect(logs()).toMatchObject([
      { id: ada.id, addresses: [core.hostId, peer].map(peerAddress) },
      { managed: false, addresses: [] },
      { id: bo.id, addresses: [peerAddress(core.hostId)] },
    ])
  })

  it('is refused where a log has as many addresses as it may have', async () => {
    await core.membership.create(id, as(ada))
    const entry = core.entry(id)
    await core.membership.addReplicator(entry, newPeer().id)
    await core.membership.addReplicator(entry, newPeer().id)
    await expect(core.membership.addReplicator(entry, newPeer().id)).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(entry.stored.peers().size).toBe(3)
  })
})
