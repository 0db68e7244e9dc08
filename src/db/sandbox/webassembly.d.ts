/** The part of WebAssembly used here. The types of Node leave it out, and those of browsers bring too much else. */
declare namespace WebAssembly {
  type Module = object
  type Exports = object
  type Imports = Record<string, Record<string, unknown>>
  interface Instance {
    readonly exports: Exports
  }
  class Memory {
    constructor(pages: { initial: number; maximum: number })
    grow(pages: number): number
  }
  function compile(bytes: Uint8Array): Promise<Module>
  function instantiate(module: Module, imports: Imports): Promise<Instance>
}
