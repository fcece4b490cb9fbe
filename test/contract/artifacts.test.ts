import t from 'tap'
import { FolderStore } from '../../src/storage/artifacts/folder-store.js'
import { artifactStoreContract } from './artifact-suite.js'

t.test('a folder', async (t) => {
  const folder = t.testdir()
  artifactStoreContract(t, (_t, place) => new FolderStore({ folder, prefix: place, database: 3 }))
})
