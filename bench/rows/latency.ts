import { person } from '../document.ts'
import { type Figure, quantile } from '../measure.ts'
import type { TargetDatabase } from '../target.ts'

const CHANGES = 200
const LISTENING_MS = 50

/** Time from the call of a create in one database to its document at a listener of another, or of the same. */
export async function latencyFigures(work: string, from: TargetDatabase, to: TargetDatabase): Promise<Figure[]> {
  const ending = new AbortController()
  const heard = to.listen(ending.signal)[Symbol.asyncIterator]()
  let index = 0
  let news = heard.next()
  for (let isHeard = false; !isHeard; ) {
    await from.create([person(index++)])
    isHeard = await Promise.race([
      news.then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, LISTENING_MS, false)),
    ])
  }
  // What was created before it was heard may still come.
  const ms: number[] = []
  while (ms.length < CHANGES) {
    const document = Buffer.from(person(index++))
    const { _id: id } = JSON.parse(document.toString()) as { _id: string }
    const started = performance.now()
    await from.create([document])
    do news = heard.next()
    while (!Buffer.from((await news).value ?? '').includes(id))
    ms.push(performance.now() - started)
  }
  ending.abort()
  await heard.return?.(undefined)
  return [
    { work: `${work}, median`, value: quantile(ms, 0.5), unit: 'ms' },
    { work: `${work}, 99 of 100`, value: quantile(ms, 0.99), unit: 'ms' },
  ]
}
