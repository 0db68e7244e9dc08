export { type CollectionSchema, checkSchema, compileSchema, refuseSchemaWithoutId } from './compile.ts'
