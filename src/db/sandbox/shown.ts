import { utf8 } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { Answer } from './messages.ts'
import { COMPILING } from './verdict.ts'

const RUNNING = 'running read filter func'

/** What a filter shows of a document; undefined if it hides it. Throws READ_FILTER_FAILED. */
export function shownOf({ word, text }: Answer, document: Uint8Array | undefined): Uint8Array | undefined {
  switch (word) {
    case 'hidden':
      return undefined
    case 'unchanged':
      return document
    case 'shown':
      return utf8(text)
    case 'unencodable':
      throw new ThreadsError('READ_FILTER_FAILED', `json: ${text}`)
    case 'threw':
      throw new ThreadsError('READ_FILTER_FAILED', `${RUNNING}: ${text}`)
    case 'uncompilable':
      throw new ThreadsError('READ_FILTER_FAILED', `${COMPILING}: ${text}`)
    case 'out-of-steps':
    case 'out-of-work':
      throw new ThreadsError('READ_FILTER_FAILED', `${RUNNING}: filter timed out: more than ${text}`)
    case 'out-of-memory':
      throw new ThreadsError('READ_FILTER_FAILED', `${RUNNING}: filter ran out of memory: more than ${text}`)
    case 'out-of-stack':
      throw new ThreadsError('READ_FILTER_FAILED', `${RUNNING}: filter ran out of stack: more than ${text}`)
    default:
      throw new ThreadsError('INTERNAL', `a filter cannot answer ${word}`)
  }
}
