import { type Attack, filter, OUT_OF, validator } from './attack.ts'

/** All names of the global scope. */
const VISIBLE =
  'AggregateError Array ArrayBuffer BigInt BigInt64Array BigUint64Array Boolean DataView Date decodeURI decodeURIComponent encodeURI encodeURIComponent Error escape eval EvalError Float16Array Float32Array Float64Array Function globalThis Infinity Int16Array Int32Array Int8Array InternalError isFinite isNaN Iterator JSON Map Math NaN Number Object parseFloat parseInt Promise Proxy RangeError ReferenceError Reflect RegExp Set String Symbol SyntaxError TypeError Uint16Array Uint32Array Uint8Array Uint8ClampedArray undefined unescape URIError WeakMap WeakSet Symbol(Symbol.toStringTag)'.split(
    / (?=\w)/,
  )

/** Sources that want to end the function they are the body of, and documents that want to be source. */
export const BREAK_OUTS: readonly Attack[] = [
  validator(
    'closes the function and opens another',
    'return true } function evil() {',
    "threw: compiling js func: SyntaxError: expecting '}' at <function>:1:68",
  ),
  validator(
    'closes the function and its parenthesis',
    'return true }); evil(); (function () {',
    "threw: compiling js func: SyntaxError: unexpected token in expression: ')' at <function>:1:73",
  ),
  validator(
    'closes the function as a method',
    'return true }, evil() {',
    "threw: compiling js func: SyntaxError: unexpected token in expression: ',' at <function>:1:73",
  ),
  validator(
    'closes the function and leaves a block',
    'return true } {',
    "threw: compiling js func: SyntaxError: expecting '}' at <function>:1:68",
  ),
  validator(
    'closes the function behind a line separator',
    'return false // \u2028 } function evil() {',
    "threw: compiling js func: SyntaxError: expecting '}' at <function>:1:74",
  ),
  validator(
    'closes the function behind a paragraph separator',
    '// \u2029 return true }); (() => {',
    "threw: compiling js func: SyntaxError: unexpected token in expression: ')' at <function>:1:78",
  ),
  validator('takes a line separator for a space', 'return\u2028true', 'denied: '),
  validator(
    'opens a comment',
    'return true /*',
    'threw: compiling js func: SyntaxError: unexpected end of comment at <function>:1:72',
  ),
  validator(
    'closes a comment',
    'return true */',
    'threw: compiling js func: SyntaxError: unexpected line terminator in regexp at <function>:1:74',
  ),
  validator(
    'opens a template',
    'return `',
    'threw: compiling js func: SyntaxError: unexpected end of string at <function>:1:67',
  ),
  validator(
    'closes a template',
    '`; return true',
    'threw: compiling js func: SyntaxError: unexpected end of string at <function>:1:60',
  ),
  validator('opens a comment of HTML', 'return true <!-- }', 'accepted'),
  validator('closes a comment of HTML', '\n--> return false }\nreturn true', 'accepted'),
  validator('ends a script', 'return "</script><script>" === "</" + "script><script>"', 'accepted'),
  validator(
    'begins with a hashbang',
    '#!/usr/bin/env node\nreturn true',
    'threw: compiling js func: SyntaxError: invalid first character of private name at <function>:1:60',
  ),
  validator(
    'is strict',
    '"use strict"; return this === undefined && (() => { try { undeclared = 1 } catch { return true } })()',
    'accepted',
  ),
  validator('asks for new.target', 'return new.target === undefined', 'accepted'),
  validator('calls itself with new', 'return new _validate instanceof _validate', OUT_OF.threadStack),
  validator(
    'asks for super',
    'return super.constructor',
    "threw: compiling js func: SyntaxError: 'super' is only valid in a method at <function>:1:72",
  ),
  validator(
    'imports a module of the host',
    'import("node:fs"); import("https://example.com/x.js"); return typeof process',
    'denied: undefined',
  ),
  validator(
    'asks for import.meta',
    'return import.meta.url',
    'threw: compiling js func: SyntaxError: import.meta only valid in module code at <function>:1:74',
  ),
  validator(
    'imports by a statement',
    'import fs from "node:fs"',
    "threw: compiling js func: SyntaxError: expecting '(' at <function>:1:67",
  ),
  validator(
    'exports',
    'export const a = 1',
    'threw: compiling js func: SyntaxError: unsupported keyword: export at <function>:1:60',
  ),
  validator(
    'yields',
    'yield 1',
    "threw: compiling js func: SyntaxError: unexpected 'yield' keyword at <function>:1:60",
  ),
  validator(
    'awaits',
    'await 1; return true',
    "threw: compiling js func: SyntaxError: expecting ';' at <function>:1:66",
  ),
  validator(
    'declares its parameters again',
    'let event = {}; return true',
    'threw: compiling js func: SyntaxError: invalid redefinition of parameter name at <function>:1:70',
  ),
  validator(
    'takes default values from what it has not',
    'return ((a = evil) => a)()',
    "threw: ReferenceError: 'evil' is not defined at <anonymous> (<function>:1:60)",
  ),
  validator('reads the writer through its arguments', 'arguments[0] = "admin"; return writer', 'denied: admin'),
  validator(
    'escapes the brace that ends it',
    'return "\\u007d" + \'\\x7d\' === "}}" && (function () { var \\u0061 = 1; return a === 1 })()',
    'accepted',
  ),
  validator(
    'escapes a keyword',
    'r\\u0065turn true',
    "threw: compiling js func: SyntaxError: 'return' is a reserved identifier at <function>:1:60",
  ),
  validator(
    'holds a null byte',
    'return true }\0{',
    "threw: compiling js func: SyntaxError: unexpected token in expression: '' at <function>:1:73",
  ),
  validator('hides code behind a null byte', 'return "a\0b".length === 3', 'accepted'),
  validator('begins with a byte order mark', '\ufeffreturn true', 'accepted'),
  validator(
    'is longer than sources may be',
    `return true ${' '.repeat(256 * 1024)}`,
    'threw: compiling js func: longer than 262144 characters',
  ),
  validator(
    'is code for other engines',
    'return %DebugPrint(1)',
    "threw: compiling js func: SyntaxError: unexpected token in expression: '%' at <function>:1:67",
  ),
  validator(
    'makes a function of text',
    'return Function("return typeof process + typeof require")() + new Function("a", "return a")(1)',
    'denied: undefinedundefined1',
  ),
  validator(
    'breaks out of Function',
    'Function("}); (function () { this.evil = 1 })(); (function () {"); return typeof evil',
    'denied: number',
  ),
  validator(
    'breaks out of the parameters of Function',
    'try { Function("a = (() => { globalThis.evil = 1 })()", "return a")() } catch {} return String(evil)',
    'denied: 1',
  ),
  validator(
    'calls eval by another name',
    'const e = globalThis["ev" + "al"]; return e("typeof process + typeof event") + (0, eval)("typeof event")',
    'denied: undefinedundefinedundefined',
  ),
  validator(
    'walks up its callers',
    'return String(arguments.callee === _validate) + String(_validate.caller) + String(arguments.callee.caller)',
    'denied: trueundefinedundefined',
  ),
  validator(
    'reads the functions of the sandbox from a stack',
    'return new Error().stack',
    'denied:     at _validate (<function>:1:63)\n    at apply (native)\n    at validate (<prelude>:243:31)\n    at call (<prelude>:259:17)\n',
  ),
  validator(
    'asks for structured call sites',
    'try { Error.prepareStackTrace = (_, sites) => sites } catch {} return typeof new Error().stack',
    'denied: string',
  ),
  validator(
    'sees names that it should not',
    `
    const names = []
    for (let o = globalThis; o !== Object.prototype; o = Object.getPrototypeOf(o)) names.push(...Reflect.ownKeys(o).map(String))
    const unknown = names.filter((name) => !event.patch.json_patch.names.includes(name))
    return unknown.length > 0 ? String(unknown) : true`,
    'accepted',
    { documents: [{ names: VISIBLE }] },
  ),
  validator(
    'judges documents that are code',
    `
    return event.patch.json_patch.texts.every((text, i) => text === instance.texts[i]) && typeof evil === 'undefined'`,
    'accepted',
    {
      documents: [
        {
          texts: [
            "'); evil = 1; //",
            '"}); evil = 1; //',
            '`${evil = 1}`',
            '\u2028evil = 1',
            '</script>',
            '\\',
            '\0',
            '*/ evil = 1 /*',
          ],
        },
      ],
      instance: {
        texts: [
          "'); evil = 1; //",
          '"}); evil = 1; //',
          '`${evil = 1}`',
          '\u2028evil = 1',
          '</script>',
          '\\',
          '\0',
          '*/ evil = 1 /*',
        ],
      },
    },
  ),
  filter(
    'is shown documents that are code',
    'return { same: instance.text === reader || instance.text }',
    'shown {"same":"\');this.evil=1//\u2028`${1}\\u0000"}',
    { documents: [{ text: "');this.evil=1//\u2028`${1}\0" }] },
  ),
  filter(
    'closes the filter',
    'return instance }); (function () {',
    "failed: compiling js func: SyntaxError: unexpected token in expression: ')' at <function>:1:68",
  ),
]
