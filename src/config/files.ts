/**
 * Where config files lie: of the project, searched up from where one works to the root of its repository, and of the person.
 *
 *   /repo/.git   /repo/troupe.toml   /repo/src/deep   <- works here: found.   Outside of a repository nothing above is looked at.
 */
import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { type Layer, readDocument } from './document.ts'

export interface Places {
  /** Where one works. */
  readonly dir: string
  readonly home: string
  /** Of the user, for names in messages. */
  readonly homeDir: string
  /** Of `--config`: taken instead of the project's. It is the person's own word. */
  readonly explicit: string | null
}

const PROJECT_FILE = 'troupe.toml'
const PERSON_FILE = 'config.toml'

/** The files that there are, the lowest first. @throws {UserError} `E_CONFIG_INVALID`; `E_USAGE` (exit 2) where the file of `--config` is none. */
export function readFiles({ dir, home, homeDir, explicit }: Places): readonly Layer[] {
  const shown = (file: string): string => shownFrom(file, dir, homeDir)
  const own = join(home, PERSON_FILE)
  const layers = existsSync(own) ? [readDocument(own, shown(own), 'person')] : []
  if (explicit !== null) {
    const file = resolve(dir, explicit)
    if (!existsSync(file)) {
      const options = { where: '--config', fix: 'name a file that exists', exit: exitOf('E_USAGE') }
      throw new UserError('E_USAGE', `no such file: ${explicit}`, options)
    }
    return [...layers, readDocument(file, shown(file), 'person')]
  }
  const project = projectFile(dir)
  return project === null || project === own ? layers : [...layers, readDocument(project, shown(project), 'project')]
}

/** The nearest `troupe.toml` at or above a folder, within its repository. */
function projectFile(dir: string): string | null {
  const root = repositoryOf(dir)
  for (let at = dir; ; at = dirname(at)) {
    const file = join(at, PROJECT_FILE)
    if (existsSync(file)) return file
    if (root === null || at === root) return null
  }
}

function repositoryOf(dir: string): string | null {
  for (let at = dir; ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return at
    if (dirname(at) === at) return null
  }
}

function shownFrom(file: string, dir: string, homeDir: string): string {
  const near = relative(dir, file)
  if (!near.startsWith('..')) return `.${sep}${near}`
  return file.startsWith(`${homeDir}${sep}`) ? `~${file.slice(homeDir.length)}` : near.length < file.length ? near : file
}
