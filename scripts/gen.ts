// Writes the code generated from proto/. The output is committed; the same input gives the same output.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const API_DIR = 'src/api/gen'
const PEER_DIR = 'src/net/protocol/pb'
const API_PROTOS = ['threads', 'threadsnet', 'health']

generate('buf.gen.yaml', API_DIR, API_PROTOS)
generate('buf.gen.peer.yaml', PEER_DIR, ['net'])
writeDescriptors()

function generate(template: string, directory: string, names: readonly string[]): void {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  buf('generate', '--template', template, '--output', directory, ...paths(names))
}

/** The descriptors of the services of the API, for reflection. */
function writeDescriptors(): void {
  const set = buf('build', '--exclude-source-info', '--output', '-#format=binpb', ...paths(API_PROTOS))
  const lines = [
    '// A google.protobuf.FileDescriptorSet of the files of this directory, in base64. Written by scripts/gen.ts.',
    `export const FILE_DESCRIPTOR_SET: string = '${set.toString('base64')}'`,
  ]
  writeFileSync(join(API_DIR, 'descriptors.ts'), `${lines.join('\n')}\n`)
}

function paths(names: readonly string[]): string[] {
  return names.flatMap((name) => ['--path', `proto/${name}.proto`])
}

function buf(...args: string[]): Buffer {
  return execFileSync('buf', args, { stdio: ['ignore', 'pipe', 'inherit'] })
}
