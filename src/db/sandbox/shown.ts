import { utf8 } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { Answer } from './messages.ts'
import { COMPILING, limitReached } from './verdict.ts'

const RUNNING = 'running read filter func'

/** What a filter shows of a document; undefined if it hides it. Throws READ_FILTER_FAILED. */
export function shownOf(answer: Answer, document: Uint8Array | undefined): Uint8Array | undefined {
  const { word, text } = answer
  const limit = limitReached(answer)
  if (limit !== undefined) throw new ThreadsError('READ_FILTER_FAILED', `${RUNNING}: filter ${limit}`)
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
    default:
      throw new ThreadsError('INTERNAL', `a filter cannot answer ${word}`)
  }
}
