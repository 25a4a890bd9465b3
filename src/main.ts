#!/usr/bin/env node
/** The bin. It checks the version of Node before anything else is loaded: older ones crash where the database is opened. */
import module from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

const needed = [22, 18] as const
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < needed[0] || (major === needed[0] && minor < needed[1])) {
  process.stderr.write(
    `error[E_NODE_VERSION] node  troupe needs Node.js ${needed.join('.')} or newer; this is ${process.versions.node} (${process.execPath})\n` +
      '  fix: install Node 24, or run: npx -p node@24 -p troupe troupe\n',
  )
  process.exitCode = 1
} else {
  // In a folder of the user's own: the default one is shared by everybody on the machine.
  module.enableCompileCache(join(homedir(), '.cache', 'troupe', 'compile'))
  const { cli } = await import('./cli/program.ts')
  // What a library has left open must not keep a finished command alive.
  process.exit(await cli(process.argv.slice(2)))
}
