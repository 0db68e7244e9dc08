import { status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { invalid, RpcError, toRpcError, transactionErrorOf } from '../../../src/api/errors.ts'
import { ThreadsError } from '../../../src/core/errors.ts'

const notFound = new ThreadsError('THREAD_NOT_FOUND', 'thread not found', { hint: 'Wähle eine andere.' })

describe('what a caller is told', () => {
  it('is code, text, and beside them the code and hint of the failure', () => {
    const told = toRpcError(notFound)
    expect(told).toMatchObject({ code: status.NOT_FOUND, message: 'thread not found' })
    expect(told.trailers).toEqual({
      'threads-error-code': 'THREAD_NOT_FOUND',
      'threads-error-hint': 'W%C3%A4hle%20eine%20andere.',
    })
  })

  it('can have another code in one RPC', () => {
    const told = toRpcError(notFound, { THREAD_NOT_FOUND: status.UNKNOWN })
    expect(told.code).toBe(status.UNKNOWN)
    expect(told.trailers).toMatchObject({ 'threads-error-code': 'THREAD_NOT_FOUND' })
  })

  it.each([new Error('secret'), new TypeError('secret'), 'secret', undefined, new ThreadsError('INTERNAL', 'secret')])(
    'hides the text of what nobody foresaw: %s',
    (thrown) => {
      const told = toRpcError(thrown)
      expect(told).toMatchObject({ code: status.INTERNAL, message: 'internal error' })
      expect(JSON.stringify(told.trailers)).not.toContain('secret')
    },
  )

  it('is what a peer answered, where a peer refused', () => {
    const refusal = Object.assign(new ThreadsError('PEER_REFUSED', 'invalid service-key'), { status: 16 })
    expect(toRpcError(refusal)).toMatchObject({ code: status.UNAUTHENTICATED, message: 'invalid service-key' })
  })

  it('can always be sent: not too long, no lone surrogates', () => {
    const told = toRpcError(new ThreadsError('WRITE_DENIED', `\ud800${'x'.repeat(100_000)}`))
    expect(told.message.length).toBe(2_000)
    expect(() => encodeURI(told.message)).not.toThrow()
  })
})

describe('a decoder of a request', () => {
  it('makes what it refuses an invalid argument', () => {
    const decode = () => {
      throw new ThreadsError('INVALID_KEY', 'invalid key')
    }
    expect(() => invalid(decode)).toThrow(expect.objectContaining({ code: status.INVALID_ARGUMENT }))
  })
})

describe('a failure inside a transaction', () => {
  it('is told in the reply', () => {
    const missing = new ThreadsError('INSTANCE_NOT_FOUND', 'instance not found')
    expect(transactionErrorOf(missing)).toBe(missing)
  })

  it('ends the stream if the time is up, the collection is gone or nobody foresaw it', () => {
    const timeout = new ThreadsError('TRANSACTION_TIMEOUT', 'too long')
    expect(() => transactionErrorOf(timeout)).toThrow(timeout)
    expect(() => transactionErrorOf(new TypeError('bug'))).toThrow('bug')
    const gone = new ThreadsError('COLLECTION_NOT_FOUND', 'collection not found')
    expect(() => transactionErrorOf(gone)).toThrow(expect.objectContaining({ code: status.UNKNOWN }))
    expect(() => transactionErrorOf(gone)).toThrow(RpcError)
  })
})
