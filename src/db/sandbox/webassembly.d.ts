/** The part of WebAssembly used here. The types of Node leave it out, and those of browsers bring too much else. */
declare namespace WebAssembly {
  type Module = object
  type Exports = Record<string, unknown>
  type Imports = Record<string, Record<string, unknown>>
  interface Instance {
    readonly exports: Exports
  }
  /** Of 32 bits. */
  class Global {
    value: number
  }
  /** What a trap throws. */
  class RuntimeError extends Error {}
  class Memory {
    readonly buffer: ArrayBuffer
    constructor(pages: { initial: number; maximum: number })
    grow(pages: number): number
  }
  function compile(bytes: Uint8Array): Promise<Module>
  function instantiate(module: Module, imports: Imports): Promise<Instance>
}
