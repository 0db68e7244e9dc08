import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { streamToDuplex } from '../../../../src/net/host/duplex.ts'
import { type PlainNode, startNode } from '../../../support/gossip-node.ts'

const PROTOCOL = '/short/1'
const running: PlainNode[] = []

afterEach(async () => {
  for (const node of running.splice(0)) await node.stop()
})

async function twoNodes(): Promise<[PlainNode, PlainNode]> {
  const nodes: [PlainNode, PlainNode] = [await startNode(), await startNode()]
  running.push(...nodes)
  return nodes
}

describe('a stream as a Node stream', () => {
  it('has an end, though its peer wrote all and ended before it was handed over', async () => {
    const [a, b] = await twoNodes()
    const arrived = Promise.withResolvers<void>()
    const read = Promise.withResolvers<string>()
    await b.handle(PROTOCOL, (stream) => {
      stream.addEventListener(
        'message',
        ({ data }) => {
          arrived.resolve()
          // As when the protocol is agreed upon: what was read ahead is put back, and the end has been told already.
          const handOver = (): void => {
            stream.unshift(data)
            text(streamToDuplex(stream)).then(read.resolve, read.reject)
          }
          stream.addEventListener('end', handOver, { once: true })
        },
        { once: true },
      )
    })
    const connection = await a.dial(b.getMultiaddrs())
    const stream = await connection.newStream(PROTOCOL)
    stream.send(Buffer.from('all there is'))
    await arrived.promise
    await stream.close()
    expect(await read.promise).toBe('all there is')
  })

  it('has an end, though there was nothing before it', async () => {
    const [a, b] = await twoNodes()
    const read = Promise.withResolvers<string>()
    await b.handle(PROTOCOL, (stream) => {
      const handOver = (): void => void text(streamToDuplex(stream)).then(read.resolve, read.reject)
      stream.addEventListener('end', handOver, { once: true })
    })
    const connection = await a.dial(b.getMultiaddrs())
    const stream = await connection.newStream(PROTOCOL)
    await stream.close()
    expect(await read.promise).toBe('')
  })
})
