/** Opens a workspace and says so; its parent kills it meanwhile. */
import { openWorkspace } from '../../src/actors/workspace.ts'

const [source = '', root = '', mode = 'auto'] = process.argv.slice(2)
const workspace = await openWorkspace({ source, root, run: 'r1', mode: mode as 'auto' })
process.stdout.write(`${JSON.stringify(workspace)}\n`)
