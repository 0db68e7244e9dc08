import type { Http2Session } from 'node:http2'
import { Duplex } from 'node:stream'

/** By session: the ping sent last, and the one to send after it. */
const sent = new WeakMap<Http2Session, Promise<boolean>>()
const queued = new WeakMap<Http2Session, Promise<boolean>>()

/**
 * Waits for the answer to a ping that is sent from now on: then all has arrived that the client had sent when it got
 * the ping. Answers whether the client is there. While the session is being closed it does not wait. Calls share pings,
 * of which a session can have a few under way only.
 */
export function roundTrip(session: Http2Session): Promise<boolean> {
  const waiting = queued.get(session)
  if (waiting !== undefined) return waiting
  const next = (sent.get(session) ?? Promise.resolve()).then(() => {
    queued.delete(session)
    const answered = ping(session)
    sent.set(session, answered)
    return answered
  })
  queued.set(session, next)
  return next
}

/** The session of a call, which grpc-js keeps to itself; `undefined` if the call is over, or it is kept elsewhere. */
export function sessionOf(call: object): Http2Session | undefined {
  const inner: unknown = Reflect.get(call, 'call')
  const stream: unknown = typeof inner === 'object' && inner !== null ? Reflect.get(inner, 'stream') : undefined
  return isHttp2Stream(stream) ? stream.session : undefined
}

function isHttp2Stream(value: unknown): value is { readonly session: Http2Session | undefined } {
  return value instanceof Duplex && 'session' in value
}

function ping(session: Http2Session): Promise<boolean> {
  // A session that is being closed takes no pings any more.
  if (session.closed) return Promise.resolve(!session.destroyed)
  return new Promise((resolve) => {
    session.ping((failure) => resolve(failure === null))
  })
}
