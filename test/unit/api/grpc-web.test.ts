import { Agent, request } from 'node:http'
import { expect, it } from 'vitest'
import { startApi, type TestApi } from '../../support/api-server.ts'

const MIB = 1024 * 1024

/** One call over the agent's only connection; resolves with the text of the answer. */
function call(api: TestApi, agent: Agent, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { agent, method: 'POST', headers: { 'content-type': 'application/grpc-web+proto' } }
    const sent = request(`${api.webUrl}/threads.pb.API/ListDBs`, options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks).toString('latin1')))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function frame(bytes: number): Buffer {
  const message = Buffer.alloc(5 + bytes)
  message.writeUInt32BE(bytes, 1)
  return message
}

it('a connection serves the next call after one whose message is too large', async () => {
  await using api = await startApi({ maxMessageBytes: MIB })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    expect(await call(api, agent, frame(8 * MIB))).toContain('grpc-status: 8')
    expect(await call(api, agent, frame(0))).toContain('grpc-status: 0')
  } finally {
    agent.destroy()
  }
})
