/** A process that opens the store named by its argument, says so, and keeps it until it is killed or left alone. */
import { openLevelStore } from '../../src/store/level-store.ts'

await openLevelStore({ location: process.argv[2] ?? '' })
process.once('disconnect', () => process.exit())
process.send?.('open')
