/** A home, a project and a config of their own for one test. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Config, type Flags, readConfig } from '../../src/config.ts'
import { temporaryFolder } from '../harness.ts'

const FLAGS: Flags = {
  json: false,
  jsonl: false,
  quiet: false,
  verbose: 0,
  motion: true,
  color: 'auto',
  ascii: false,
  input: true,
  yes: false,
  utc: false,
}

export interface Files {
  /** `troupe.toml` of the project. */
  readonly project?: string | Uint8Array
  /** `config.toml` of the home. */
  readonly person?: string
  readonly env?: Readonly<Record<string, string>>
  readonly flags?: Partial<Flags>
  /** Below the project. */
  readonly dir?: string
  /** Other files, by their path below the place. */
  readonly more?: Readonly<Record<string, string>>
}

export interface ConfigPlace {
  readonly config: Config
  readonly home: string
  readonly project: string
}

export function configOf({ project: text, person, env = {}, flags = {}, dir = '', more = {} }: Files): ConfigPlace {
  const root = temporaryFolder()
  const project = join(root, 'project')
  const home = join(root, 'own')
  for (const folder of [join(project, dir), home]) mkdirSync(folder, { recursive: true })
  if (text !== undefined) writeFileSync(join(project, 'troupe.toml'), text)
  if (person !== undefined) writeFileSync(join(home, 'config.toml'), person)
  for (const [path, content] of Object.entries(more)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  const facts = { env, cwd: join(project, dir), homeDir: root, stdin: {}, stdout: {}, stderr: {} }
  return { config: readConfig({ ...FLAGS, home, ...flags }, facts), home, project }
}

export const settingsOf = (files: Files) => configOf(files).config.settings()
