import { ThreadsError } from '../../core/errors.ts'
import type { Document } from '../json.ts'
import { invalidSchema, normaliseSchema } from './normalise.ts'
import { declaresId, type FieldType, typeAt } from './paths.ts'
import { createValidator, type Validator } from './validator.ts'

/** What a collection demands of its instances. */
export interface CollectionSchema {
  /** JSON, normalised: what clients are shown. Means less than the text it was made of: see `compileSchema`. */
  readonly stored: string
  /** Whether it says that `_id` is a string, as the schema of a collection must. */
  readonly declaresId: boolean
  /** Throws INVALID_INSTANCE, in words clients know; INVALID_SCHEMA if the schema itself is broken. */
  validate(document: Document): void
  /** The type of a path of members joined by dots; `undefined` if the schema does not have it. */
  typeAt(path: string): FieldType | undefined
}

/**
 * Reads a JSON Schema. Throws INVALID_SCHEMA if it is none by form; whether it can be enforced shows at the first
 * document. The stored form drops keywords such as `const` and limits of 0, which are enforced all the same: keep the
 * text a schema was given as.
 */
export function compileSchema(text: string): CollectionSchema {
  const { stored, enforced } = normaliseSchema(text)
  let validator: Validator | ThreadsError | undefined
  return {
    stored,
    declaresId: declaresId(enforced),
    validate(document) {
      validator ??= attempt(() => createValidator(enforced))
      if (validator instanceof ThreadsError) throw validator
      validator(document)
    },
    typeAt: (path) => typeAt(enforced, path),
  }
}

/** Throws INVALID_SCHEMA if the text is no JSON Schema by form. */
export function checkSchema(text: string): void {
  normaliseSchema(text)
}

/** Throws INVALID_SCHEMA. */
export function refuseSchemaWithoutId(schema: CollectionSchema): void {
  if (!schema.declaresId) throw invalidSchema('the collection schema _id property must be a string')
}

/** A broken schema fails alike at every document: it is not compiled again. */
function attempt(create: () => Validator): Validator | ThreadsError {
  try {
    return create()
  } catch (error) {
    if (error instanceof ThreadsError) return error
    throw error
  }
}
