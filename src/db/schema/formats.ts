/** The formats of strings, as go-threads takes them: more loosely than their definitions here and there. */
import { isPattern } from './patterns.ts'

const DATE = /^(\d{4})-(\d\d)-(\d\d)$/
const TIME = /^(\d\d):(\d\d):(\d\d)(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)?$/
const ZONED_TIME = /(?:Z|[+-]\d\d:\d\d)$/
const HOST_LABEL = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/
const MAX_HOST_LENGTH = 255
const MAILBOX = /^[^\s<>@]+@[^\s<>@]+$/
const NAMED_MAILBOX = /^[^<>@]*<([^<>]*)>$/
const IPV4_PART = /^(?:0|[1-9]\d{0,2})$/
const IPV6_PART = /^[0-9a-fA-F]{1,4}$/
const SCHEME = /^[a-zA-Z][a-zA-Z0-9+.-]*:/
const BAD_ESCAPE = /%(?![0-9a-fA-F]{2})/
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const NEVER_IN_URI = /[\u0000-\u001f\u007f\\]/
const BAD_AUTHORITY = /[\s<>"{}|^`]|:\D/
const UUID = /^[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$/
const POINTER = /^(?:\/(?:[^~/]|~[01])*)*$/
const RELATIVE_POINTER = /^(?:0|[1-9]\d*)(#$|\/|$)/

export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: isDate,
  time: isTime,
  'date-time': isDateTime,
  hostname: (text) => text.length <= MAX_HOST_LENGTH && text.split('.').every((label) => HOST_LABEL.test(label)),
  email: isEmail,
  'idn-email': isEmail,
  ipv4: isIpv4,
  ipv6: isIpv6,
  uri: isUri,
  'uri-reference': isUriReference,
  iri: isUri,
  'iri-reference': isUriReference,
  'uri-template': isUriTemplate,
  uuid: (text) => UUID.test(text),
  regex: isPattern,
  'json-pointer': (text) => POINTER.test(text),
  'relative-json-pointer': isRelativePointer,
}

function isDate(text: string): boolean {
  const [, year = '', month = '', day = ''] = DATE.exec(text) ?? []
  if (year === '') return false
  const date = new Date(Date.UTC(2000, Number(month) - 1, Number(day)))
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day)
}

function isTime(text: string): boolean {
  const [, hours, minutes, seconds] = TIME.exec(text) ?? []
  return Number(hours) < 24 && Number(minutes) < 60 && Number(seconds) < 60
}

/** A date alone, or a time alone, will do. */
function isDateTime(text: string): boolean {
  const [date = '', time] = text.split('T', 2)
  if (time === undefined) return isDate(text) || isTime(text)
  return text.length === date.length + 1 + time.length && isDate(date) && isTime(time) && ZONED_TIME.test(time)
}

function isEmail(text: string): boolean {
  return MAILBOX.test(NAMED_MAILBOX.exec(text)?.[1] ?? text)
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => IPV4_PART.test(part) && Number(part) <= 255)
}

function isIpv6(text: string): boolean {
  const [before = '', after, ...more] = text.split('::')
  if (more.length > 0) return false
  const groups = groupsOf(before, after === undefined) + groupsOf(after ?? '', true)
  return after === undefined ? groups === 8 : groups < 8
}

/** How many groups a part of an address stands for; NaN if it is none. It may end with an IPv4 address if it is last. */
function groupsOf(part: string, isLast: boolean): number {
  if (part === '') return 0
  const groups = part.split(':')
  const embedded = isLast && isIpv4(groups.at(-1) ?? '')
  if (embedded) groups.pop()
  return groups.every((group) => IPV6_PART.test(group)) ? groups.length + (embedded ? 2 : 0) : Number.NaN
}

function isUri(text: string): boolean {
  return SCHEME.test(text) && isUriReference(text)
}

function isUriReference(text: string): boolean {
  if (NEVER_IN_URI.test(text) || BAD_ESCAPE.test(text)) return false
  const scheme = SCHEME.exec(text)?.[0] ?? ''
  const rest = text.slice(scheme.length)
  if (rest.startsWith('//')) return !BAD_AUTHORITY.test(hostOf(rest))
  // Without a scheme the first part of a path has no colon: it would be taken for one.
  return scheme !== '' || !(rest.split(/[/?#]/, 1)[0] ?? '').includes(':')
}

/** Host and port of `//user@host:port/...`. */
function hostOf(text: string): string {
  const authority = text.slice(2).split(/[/?#]/, 1)[0] ?? ''
  const host = authority.slice(authority.lastIndexOf('@') + 1)
  return host.startsWith('[') ? host.slice(host.indexOf(']') + 1) : host
}

function isUriTemplate(text: string): boolean {
  if (NEVER_IN_URI.test(text)) return false
  const path = text.split(/[?#]/, 1)[0] ?? ''
  let open = path.indexOf('{')
  while (open !== -1) {
    const close = path.indexOf('}', open)
    if (close === -1) return false
    open = path.indexOf('{', close)
  }
  return true
}

function isRelativePointer(text: string): boolean {
  const found = RELATIVE_POINTER.exec(text)
  if (found === null) return false
  return text.endsWith('#') && found[1] === '#' ? true : POINTER.test(text.replace(/^\d+/, ''))
}
