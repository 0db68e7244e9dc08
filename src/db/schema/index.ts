export { type CollectionSchema, compileSchema, refuseSchemaWithoutId } from './compile.ts'
