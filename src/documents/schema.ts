import type { CollectionConfig, CollectionInfo } from './index.ts'
import type { DriverConfig } from './driver.ts'

export function encodeConfig(config: CollectionConfig<unknown>): DriverConfig {
  const { name, schema, indexes = [], writeValidator = '', readFilter = '' } = config
  return {
    name,
    schema: JSON.stringify(schema),
    indexes: indexes.map(({ path, unique = false }) => ({ path, unique })),
    writeValidator,
    readFilter,
  }
}

export function decodeConfig({ schema, ...config }: DriverConfig): CollectionInfo {
  return { ...config, schema: JSON.parse(schema) }
}
