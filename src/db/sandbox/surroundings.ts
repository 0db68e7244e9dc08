/**
 * What the engine asks of its host beside memory. It gets the same answers everywhere: what it is told takes memory and
 * work, so that even what no function can read would move its limits. The names are those of the pinned build.
 */
type HostCall = (...values: never[]) => unknown

/** Of the members of `struct tm`, in bytes; all are 32 bits wide. */
const TM_BYTES = 40

export function withoutSurroundings(imports: WebAssembly.Imports, memory: WebAssembly.Memory): WebAssembly.Imports {
  const clear = (address: number, bytes: number): void => void new Uint8Array(memory.buffer, address, bytes).fill(0)
  const answers: Record<string, HostCall> = {
    // environ_get, environ_sizes_get: no variables.
    e: () => 0,
    f: (count: number, bytes: number) => {
      clear(count, 4)
      clear(bytes, 4)
      return 0
    },
    // _localtime_js, _tzset_js: UTC.
    m: (_time: bigint, tm: number) => clear(tm, TM_BYTES),
    n: (timezone: number, daylight: number) => {
      clear(timezone, 4)
      clear(daylight, 4)
    },
    // emscripten_date_now: the beginning of 1970.
    p: () => 0,
  }
  const [[module, members] = ['', {}]] = Object.entries(imports)
  return { ...imports, [module]: { ...members, ...answers } }
}
