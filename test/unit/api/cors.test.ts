import { describe, expect, it } from 'vitest'
import { Cors, isPreflight } from '../../../src/api/cors.ts'

const page = { origin: 'https://app.example' }
const preflight = {
  ...page,
  'access-control-request-method': 'post',
  'access-control-request-headers': 'content-type,x-grpc-web',
}

describe('an origin', () => {
  it('may call if it is listed, if any may, or if there is none', () => {
    expect(new Cors(['https://app.example']).allows(page)).toBe(true)
    expect(new Cors(['*']).allows(page)).toBe(true)
    expect(new Cors([]).allows({})).toBe(true)
  })

  it('may not call if it is not listed, not even as part of one that is', () => {
    expect(new Cors(['https://app.example.org', 'http://app.example']).allows(page)).toBe(false)
    expect(new Cors([]).allows({ origin: 'null' })).toBe(false)
  })

  it('is told by name that it may read the answer', () => {
    expect(new Cors(['*']).headers(page)).toMatchObject({
      vary: 'Origin',
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-credentials': 'true',
    })
  })
})

describe('a preflight request', () => {
  it('is one that asks for the header of gRPC-Web', () => {
    expect(isPreflight('OPTIONS', preflight)).toBe(true)
    expect(isPreflight('OPTIONS', { ...preflight, 'access-control-request-headers': 'X-Grpc-Web' })).toBe(true)
    expect(isPreflight('OPTIONS', page)).toBe(false)
    expect(isPreflight('POST', preflight)).toBe(false)
  })

  it('gets leave for ten minutes', () => {
    expect(new Cors(['*']).preflightHeaders(preflight)).toEqual({
      vary: ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers'],
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'content-type,x-grpc-web',
      'access-control-allow-credentials': 'true',
      'access-control-max-age': '600',
    })
  })

  it('gets no leave for other origins and other methods', () => {
    expect(new Cors([]).preflightHeaders(preflight)).not.toHaveProperty('access-control-allow-origin')
    const put = { ...preflight, 'access-control-request-method': 'PUT' }
    expect(new Cors(['*']).preflightHeaders(put)).not.toHaveProperty('access-control-allow-origin')
  })
})
