/** Migrates a file and dies at its nth statement: `migrating.child.ts FILE N`. Says how many statements there were where it lives to the end. */
import Database from 'better-sqlite3'
import { migrate } from '../../../../src/runtime/stores/sqlite/migrate.ts'

const [file = '', at = '0'] = process.argv.slice(2)
let statements = 0
const db = new Database(file, {
  verbose: () => {
    if (++statements === Number(at)) process.kill(process.pid, 'SIGKILL')
  },
})
db.pragma('journal_mode = wal')
migrate(db, file)
process.stdout.write(`${statements}\n`)
