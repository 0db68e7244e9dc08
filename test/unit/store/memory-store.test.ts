import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { testOrderedStore } from '../../conformance/ordered-store.ts'

testOrderedStore('memory-level', openMemoryStore)
