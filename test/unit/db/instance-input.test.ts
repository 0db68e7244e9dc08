import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/core/bytes.ts'
import { instanceId, parseInstance } from '../../../src/db/instance-input.ts'

describe('a document of a client', () => {
  it.each([
    ['[1]', 'json: cannot unmarshal array into Go value of type struct { ID *string "json:\\"_id\\"" }'],
    ['"text"', 'json: cannot unmarshal string into Go value of type struct { ID *string "json:\\"_id\\"" }'],
    ['true', 'json: cannot unmarshal bool into Go value of type struct { ID *string "json:\\"_id\\"" }'],
    ['null', 'json: cannot unmarshal null into Go value of type struct { ID *string "json:\\"_id\\"" }'],
    ['', 'unexpected end of JSON input'],
  ])('that is %j is refused in the words of go-threads', (text, problem) => {
    expect(() => parseInstance(utf8(text))).toThrow(`unmarshaling json instance: ${problem}`)
  })

  it('must be UTF-8', () => {
    expect(() => parseInstance(Uint8Array.of(0x22, 0xff, 0x22))).toThrow('the text is not UTF-8')
    expect(() => parseInstance(utf8('\ufeff{}'))).toThrow('unmarshaling json instance')
  })

  it('has an id that is a string, or none', () => {
    const idIn = (text: string): string => instanceId(parseInstance(utf8(text)))
    expect([idIn('{}'), idIn('{"_id":null}'), idIn('{"_id":""}'), idIn('{"_id":"n"}')]).toEqual(['', '', '', 'n'])
    expect(() => idIn('{"_id":7}')).toThrow('json: cannot unmarshal number into Go struct field ._id of type string')
    expect(() => idIn(`{"_id":"${'ü'.repeat(257)}"}`)).toThrow('_id has more than 512 bytes')
  })
})
