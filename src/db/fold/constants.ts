/**
 * Constants of the fold. All hosts must use the same: changing one is a new fold version, and every host then rebuilds
 * its state from its records.
 */
export { FOLD_VERSION } from '../../store/format.ts'

export const MAX_EVENTS_PER_RECORD = 10_000
export const MAX_INSTANCE_ID_BYTES = 512
export const MAX_COLLECTION_NAME_BYTES = 256
/** Largest event timestamp, in ns since 1970. */
export const MAX_TIMESTAMP: bigint = 2n ** 63n - 1n
/** An event whose result is larger has no effect. */
export const MAX_DOCUMENT_BYTES: number = 4 * 1024 * 1024
/** Letters and digits, with single hyphens inside. */
export const COLLECTION_NAME: RegExp = /^[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*$/
