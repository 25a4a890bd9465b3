/** The verbs of this release with their arguments and options. What they do is in a file each, loaded when it is called. */
import { type Command, Option } from 'commander'
import type { Context } from './context.ts'
import type { LogsOptions } from './logs.ts'
import type { PruneFlags } from './prune.ts'
import { dollarAmount, durationMs, position, wholeNumber, wholeNumberOrNone } from './quantities.ts'

/** Calls a verb with everything around it in place. */
export type Call = (command: Command, run: (context: Context) => Promise<number>) => Promise<void>

const RUN = 'a run: 4 or more characters of its id, or its name'

/** Adds the verbs to the program. */
export function addVerbs(program: Command, call: Call): void {
  addRunning(program, call)
  addLooking(program, call)
  addKeeping(program, call)
  addTapes(program, call)
  addSetup(program, call)
}

function addRunning(program: Command, call: Call): void {
  program
    .command('run')
    .description('start a team on a task')
    .argument('<task>', 'a task file, the text of a task, or - for either on stdin')
    .option('--name <name>', 'name of the run: lower case letters, digits and -')
    .option('--model <alias>', 'the model of all agents, by its alias in [models]; with --provider also by its own name')
    .option('--provider <name>', 'only models of this provider; scripted: replies of the task')
    .option('--max-tokens <n>', 'limit of tokens, like 200k', wholeNumber)
    .option('--max-usd <usd>', 'limit of money, like 0.50', dollarAmount)
    .option('--max-turns <n>', 'limit of answers of models', wholeNumber)
    .option('--timeout <duration>', 'deadline of the run, like 20m', durationMs)
    .addOption(recordOption())
    .option('--replay <file>', 'answer from this cassette, and from nothing else')
    .option('--strict', 'with --replay: each exchange is given once')
    .action(async (task: string, options, command: Command) =>
      call(command, async (context) => (await import('./run.ts')).run(context, task, options)),
    )
  program
    .command('check')
    .description('check the tree that a task would start, and how often its actors may be started at most; starts nothing')
    .argument('<task>', 'a task file, the text of a task, or - for either on stdin')
    .action(async (task: string, _, command: Command) =>
      call(command, async (context) => (await import('./check.ts')).check(context, task)),
    )
  program
    .command('resume')
    .description('go on with a run that crashed, was interrupted, or met a limit')
    .argument('[run]', RUN)
    .addOption(new Option('--last', 'the newest run of this project that can go on'))
    .option('--max-tokens <n>', 'raise the limit of tokens; what was spent stays spent', wholeNumber)
    .option('--max-usd <usd>', 'raise the limit of money, in the same way', dollarAmount)
    .option('--max-turns <n>', 'raise the limit of turns, in the same way', wholeNumber)
    .option('--timeout <duration>', 'a new deadline of the run, from now, like 20m', durationMs)
    .option('--take-over', 'take it from a process that no longer answers; that process can commit nothing more')
    .option('--unquarantine', 'go on although its process has crashed too often; the count begins again')
    .addOption(recordOption())
    .option('--replay <file>', 'answer from this cassette, and from nothing else')
    .option('--strict', 'with --replay: each exchange is given once')
    .action(async (run: string | undefined, options, command: Command) =>
      call(command, async (context) => (await import('./resume.ts')).resume(context, run, options)),
    )
  program
    .command('recover')
    .description('list what did not end properly, in all projects, and go on with it')
    .option('--dry-run', 'only list')
    .addOption(new Option('--all', 'go on with every run that needs no decision').conflicts('dryRun'))
    .action(async (options, command: Command) => call(command, async (context) => (await import('./recover.ts')).recover(context, options)))
  program
    .command('demo')
    .description('see a team repair a small repository, be killed in the middle, and go on')
    .option('--no-kill', 'let it run through')
    .option('--keep <dir>', 'repair a copy in this folder, and keep it')
    .option('--fast', 'no pauses')
    .action(async (options, command: Command) => call(command, async (context) => (await import('./demo.ts')).demo(context, options)))
}

const recordOption = (): Option => new Option('--record <file>', 'write down what models say, on this cassette').conflicts('replay')

function addLooking(program: Command, call: Call): void {
  program
    .command('ps')
    .description('list the unfinished runs of this project')
    .option('--all', 'the finished ones too, the newest 50')
    .option('--everywhere', 'of all projects')
    .addOption(new Option('--status <status>', 'only these').choices(STATUSES))
    .action(async (options, command: Command) => call(command, async (context) => (await import('./ps.ts')).ps(context, options)))
  program
    .command('show')
    .description('look at one run')
    .argument('[run]', RUN)
    .option('--last', 'the newest run of this project')
    .addOption(new Option('--tree', 'only its actors').conflicts('effects'))
    .addOption(new Option('--effects', 'only its effects').conflicts('usage'))
    .addOption(new Option('--usage', 'what it has used, by actor and by model; with --json every call').conflicts('tree'))
    .action(async (run: string | undefined, options, command: Command) =>
      call(command, async (context) => (await import('./show.ts')).show(context, run, options)),
    )
  program
    .command('logs')
    .description('print the journal of one run')
    .argument('[run]', RUN)
    .option('--last', 'the newest run of this project')
    .option('-f, --follow', 'go on until the run has ended, over restarts')
    .option('--type <glob>', "only these types, like 'effect.*'")
    .option('--actor <path>', 'only this actor')
    .option('--since <position>', 'only what comes after this position', position)
    .option('-n, --lines <n>', 'at most so many, the last ones', wholeNumber, 200)
    .action(async (run: string | undefined, options: LogsOptions, command: Command) =>
      call(command, async (context) => (await import('./logs.ts')).logs(context, run, options)),
    )
}

function addKeeping(program: Command, call: Call): void {
  const db = program.command('db').description('the store as a file: how it stands, whether it is whole, copies of it')
  db.command('status')
    .description('its size, its schema, what is in it')
    .action(async (_, command: Command) => call(command, async (context) => (await import('./db.ts')).dbStatus(context)))
  db.command('check')
    .description('look for damage; changes nothing')
    .option('--deep', 'every page, row and entry, and not only what a resume rests on')
    .action(async (options, command: Command) => call(command, async (context) => (await import('./db.ts')).dbCheck(context, options)))
  db.command('backup')
    .description('copy it, also while runs go on')
    .argument('[file]', 'where to; default: a new file in the folder `backups` beside it')
    .option('--force', 'replace a file that exists')
    .action(async (file: string | undefined, options, command: Command) =>
      call(command, async (context) => (await import('./db.ts')).dbBackup(context, file, options)),
    )
  db.command('migrate')
    .description('bring it to the schema of this release; the old file is kept')
    .action(async (_, command: Command) => call(command, async (context) => (await import('./db.ts')).dbMigrate(context)))
  db.command('restore')
    .description('go back to a backup; what is there is kept under another name')
    .argument('<file>', 'a backup')
    .action(async (file: string, _, command: Command) =>
      call(command, async (context) => (await import('./db.ts')).dbRestore(context, file)),
    )
  program
    .command('prune')
    .description('delete runs that have ended')
    .argument('[runs...]', 'runs by id or name; without any: those that the options choose')
    .option('--older-than <duration>', 'only those that ended so long ago, like 30d', durationMs)
    .option('--keep-last <n>', 'keep so many that ended, the newest (20)', wholeNumberOrNone)
    .addOption(new Option('--status <status>', 'only these, unfinished ones too').choices(STATUSES))
    .option('--dry-run', 'only say what would go')
    .action(async (runs: readonly string[], options: PruneFlags, command: Command) =>
      call(command, async (context) => (await import('./prune.ts')).prune(context, runs, options)),
    )
}

function addTapes(program: Command, call: Call): void {
  const cassette = program.command('cassette').description('what models said, as files to keep: list, check and clean them')
  cassette
    .command('ls')
    .description('list the cassettes of a folder')
    .argument('[dir]', 'a folder (tapes)')
    .action(async (dir: string | undefined, _, command: Command) =>
      call(command, async (context) => (await import('./cassette.ts')).cassetteLs(context, dir)),
    )
  cassette
    .command('verify')
    .description('look for damage, secrets and drift; changes nothing')
    .argument('<files...>', 'cassettes')
    .action(async (files: readonly string[], _, command: Command) =>
      call(command, async (context) => (await import('./cassette.ts')).cassetteVerify(context, files)),
    )
  cassette
    .command('scrub')
    .description('take secrets out, and seal it again')
    .argument('<file>', 'a cassette')
    .option('-o, --output <file>', 'write another file, and leave this one as it is')
    .action(async (file: string, options, command: Command) =>
      call(command, async (context) => (await import('./cassette.ts')).cassetteScrub(context, file, options)),
    )
  const cache = program.command('cache').description('answers of models that are kept: how many, whether they are whole')
  cache
    .command('stats')
    .description('how many, how large, and how often they were of use')
    .action(async (_, command: Command) => call(command, async (context) => (await import('./cache.ts')).cacheStats(context)))
  cache
    .command('validate')
    .description('read every one; changes nothing')
    .action(async (_, command: Command) => call(command, async (context) => (await import('./cache.ts')).cacheValidate(context)))
  cache
    .command('purge')
    .description('remove some of them')
    .addOption(new Option('--all', 'all of them').conflicts(['invalid', 'olderThan']))
    .addOption(new Option('--invalid', 'those that are damaged').conflicts(['olderThan']))
    .option('--older-than <duration>', 'those that were not used for so long, like 30d', durationMs)
    .action(async (options, command: Command) =>
      call(command, async (context) => (await import('./cache.ts')).cachePurge(context, options)),
    )
}

function addSetup(program: Command, call: Call): void {
  const auth = program
    .command('auth')
    .description('keys of providers: the environment, the keychain of the system, or a file that only you may read')
  auth
    .command('login')
    .description('keep a key')
    .argument('<provider>', 'anthropic, openai-compatible, or a name from [providers]')
    .option('--key <->', 'read it from stdin instead of asking for it; it is no argument')
    .action(async (provider: string, options, command: Command) =>
      call(command, async (context) => (await import('./auth.ts')).login(context, provider, options)),
    )
  auth
    .command('status')
    .description('where the key of each provider is')
    .option('--online', 'ask each provider whether it takes its key')
    .action(async (options, command: Command) => call(command, async (context) => (await import('./auth.ts')).status(context, options)))
  auth
    .command('logout')
    .description('forget a key')
    .argument('<provider>', 'as at login')
    .action(async (provider: string, _, command: Command) =>
      call(command, async (context) => (await import('./auth.ts')).logout(context, provider)),
    )
  program
    .command('models')
    .description('list the models of the configuration, and whether their providers have them')
    .action(async (_, command: Command) => call(command, async (context) => (await import('./models.ts')).models(context)))
}

const STATUSES = ['running', 'succeeded', 'failed', 'suspended', 'limited', 'interrupted', 'crashed', 'quarantined', 'canceled']
