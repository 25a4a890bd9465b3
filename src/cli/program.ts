/**
 * The command line: arguments in, exit code out. Verbs are declared in verbs.ts and live in a file each, loaded when they are called.
 *
 *   argv --commander--> flags, verb, arguments --> Context --> verb --> exit code
 *                |                                               |
 *                '--CommanderError--> E_USAGE, exit 2            '--thrown--> report.ts
 */
import { setTimeout as wait } from 'node:timers/promises'
import { Command, CommanderError, Option } from 'commander'
import type { App, ProviderSource } from '../app.ts'
import { exitOf } from '../catalogue.ts'
import { type ColorChoice, type Config, type Flags, readConfig } from '../config.ts'
import { UserError } from '../errors.ts'
import { redacted } from '../secrets.ts'
import { type Context, version } from './context.ts'
import { guardStreams, openIo, outFailure } from './io.ts'
import { report } from './report.ts'
import { addVerbs } from './verbs.ts'

/** How long a finished command waits for a slow reader of its output, milliseconds. */
const DRAIN_MS = 5_000

const DEFAULTS: Flags = {
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

/** Runs one command. Never throws. Resolves with the exit code when its output has been read. */
export async function cli(argv: readonly string[]): Promise<number> {
  guardStreams()
  let flags: Flags = { ...DEFAULTS, ...rawMode(argv) }
  let config: Config | null = null
  let app: App | null = null
  let source: ProviderSource | null = null
  let verb = 'troupe'
  let exit = 0
  const program = globals(new Command('troupe'))
  addVerbs(program, async (command, run) => {
    verb = command.name()
    flags = flagsOf(command.optsWithGlobals())
    const known = readConfig(flags)
    config = known
    const context: Context = {
      config: known,
      flags,
      io: openIo(known, flags.utc),
      app: async () => (app ??= (await import('../app.ts')).openApp(known, context.providers)),
      providers: async (names, tapes) => {
        source ??= (await import('./settings.ts')).providerSource(context)
        return source(names, tapes)
      },
      now: () => Date.now(),
    }
    exit = await run(context)
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (thrown) {
    if (!(thrown instanceof CommanderError && thrown.exitCode === 0)) {
      const io = openIo(config ?? readConfig({ ...flags, dir: undefined }), flags.utc)
      exit = report(thrown instanceof CommanderError ? usage(thrown, program, argv) : thrown, {
        io,
        flags,
        reports: reportsOf(config),
        verb,
      })
    }
  }
  closeQuietly(app)
  await drained()
  return exit === 0 && outFailure() !== null ? unwritten(outFailure()) : exit
}

function globals(program: Command): Command {
  return program
    .description('A durable actor runtime for teams of AI agents. Kill it at any instant: it comes back where it was.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => {} })
    .exitOverride()
    .option('--json', 'print exactly one JSON object on stdout, on failure too')
    .addOption(new Option('--jsonl', 'print frames as JSON lines; the last line is the result').conflicts('json'))
    .option('-q, --quiet', 'print errors and the result only')
    .option('-v, --verbose', 'print every journal entry; repeat for live frames', (_: string, before: number) => before + 1, 0)
    .option('--no-motion', 'redraw nothing')
    .addOption(new Option('--color <when>', 'colour').choices(['auto', 'always', 'never']).default('auto'))
    .option('--ascii', 'draw with ASCII only')
    .option('--no-input', 'ask nothing')
    .option('-y, --yes', 'take the offered answer instead of asking')
    .option('-C, --dir <dir>', 'work as if started in this folder')
    .option('--home <dir>', 'folder of the store (TROUPE_HOME, ~/.troupe)')
    .option('--config <file>', 'a config file, instead of the troupe.toml of the project')
    .option('--utc', 'print times in UTC')
}

function flagsOf(options: Readonly<Record<string, unknown>>): Flags {
  const is = (key: string): boolean => options[key] === true
  return {
    json: is('json'),
    jsonl: is('jsonl'),
    quiet: is('quiet'),
    verbose: Number(options['verbose'] ?? 0),
    motion: options['motion'] !== false,
    color: (options['color'] ?? 'auto') as ColorChoice,
    ascii: is('ascii'),
    input: options['input'] !== false,
    yes: is('yes'),
    utc: is('utc'),
    dir: options['dir'] as string | undefined,
    home: options['home'] as string | undefined,
    config: options['config'] as string | undefined,
  }
}

/** Where the arguments make no sense, the form of the answer still should. */
function rawMode(argv: readonly string[]): Pick<Flags, 'json' | 'jsonl'> {
  const end = argv.indexOf('--')
  const known = end === -1 ? argv : argv.slice(0, end)
  return { json: known.includes('--json'), jsonl: known.includes('--jsonl') && !known.includes('--json') }
}

function usage(error: CommanderError, program: Command, argv: readonly string[]): UserError {
  const [first = '', hint = ''] = error.message.split('\n')
  const near = /Did you mean (?:one of )?(.+)\?\)/.exec(hint)?.[1]
  const called = program.commands.find((command) => argv.includes(command.name()))
  const help = `troupe ${called === undefined ? '' : `${called.name()} `}--help`
  const conflict = error.code === 'commander.conflictingOption'
  const message = error.code === 'commander.help' ? 'no verb is given' : withoutValues(first.replace(/^error: /, ''))
  return new UserError(conflict ? 'E_FLAG_CONFLICT' : 'E_USAGE', `${message}${near === undefined ? '' : `; did you mean \`${near}\`?`}`, {
    where: /(--[\w-]+)/.exec(first)?.[1] ?? /'(-[^' ,]*)/.exec(first)?.[1] ?? called?.name() ?? 'troupe',
    fix: conflict ? 'leave one out' : help,
    exit: 2,
  })
}

/** What a slip has made an argument may be a key: names are repeated, what nobody asked for is not. */
const withoutValues = (message: string): string =>
  redacted(message.replace(/(unknown option '--?[\w-]+)=[^']*/, '$1=...').replace(/(but got \d+): .*$/, '$1'))

/** Resolves when everything that was written has been taken by its reader, or nobody reads any more. */
async function drained(): Promise<void> {
  const flushed = [process.stdout, process.stderr].map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve())))
  await Promise.race([Promise.all(flushed), wait(DRAIN_MS, undefined, { ref: false })])
}

/** A result that is lost must not look like success. */
function unwritten(why: string | null): number {
  process.stderr.write(
    `error[E_OUTPUT] stdout  the result could not be written: ${why}\n  fix: free space, and ask again: troupe show --last\n`,
  )
  return exitOf('E_OUTPUT')
}

const reportsOf = (config: Config | null): string | null => config?.reports ?? null

function closeQuietly(app: App | null): void {
  try {
    app?.close()
  } catch {
    // The result is out already; a store that does not close loses nothing.
  }
}
