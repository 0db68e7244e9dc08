// Writes the code generated from proto/. The output is committed; the same input gives the same output.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BinaryReader } from '@bufbuild/protobuf/wire'

const API_DIR = 'src/api/gen'
const PEER_DIR = 'src/net/protocol/pb'
const API_PROTOS = ['threads', 'threadsnet', 'health']

generate('buf.gen.yaml', API_DIR, API_PROTOS)
generate('buf.gen.peer.yaml', PEER_DIR, ['net', 'bitswap'])
writeDescriptors()

function generate(template: string, directory: string, names: readonly string[]): void {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  buf('generate', '--template', template, '--output', directory, ...paths(names))
}

/** The descriptors of the services of the API, for reflection. */
function writeDescriptors(): void {
  const files = API_PROTOS.map((name) => `  '${descriptorOf(name).toString('base64')}',`)
  const lines = [
    '// A google.protobuf.FileDescriptorProto of each file of this directory, in base64. Written by scripts/gen.ts.',
    'export const FILE_DESCRIPTORS: readonly string[] = [',
    ...files,
    ']',
  ]
  writeFileSync(join(API_DIR, 'descriptors.ts'), `${lines.join('\n')}\n`)
}

/** buf writes a set, whose only member is a list of files: here one file. */
function descriptorOf(name: string): Buffer {
  const set = new BinaryReader(buf('build', '--exclude-source-info', '--output', '-#format=binpb', ...paths([name])))
  set.tag()
  return Buffer.from(set.bytes())
}

function paths(names: readonly string[]): string[] {
  return names.flatMap((name) => ['--path', `proto/${name}.proto`])
}

function buf(...args: string[]): Buffer {
  return execFileSync('buf', args, { stdio: ['ignore', 'pipe', 'inherit'] })
}
