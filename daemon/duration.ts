const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/y

/** Milliseconds of a duration as Go writes it (`20s`, `1m30s`, `500ms`), or `undefined` if it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  let total = 0
  let end = 0
  while (end < text.length) {
    PART.lastIndex = end
    const part = PART.exec(text)
    if (part === null) return undefined
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? 0)
    end = PART.lastIndex
  }
  return end === 0 ? undefined : total
}
