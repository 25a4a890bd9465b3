/** The embedded default: one process, a {@link Store}, many steps grouped into one turn and one commit. */
import { hostname } from 'node:os'
import { UserError } from '../../errors.ts'
import { assertJson, type Json } from '../../json.ts'
import { TURN_STEPS_MAX } from '../../limits.ts'
import { DYNAMIC_MACHINE, SUPERVISOR_MACHINE, type TreeSpec } from '../../protocol.ts'
import { type Clock, RunClock } from '../clock.ts'
import { newRunId, systemClock } from '../clocks/system.ts'
import type { Engine, Host, Recovery, ResumeOptions, RunSession, StartOptions } from '../engine.ts'
import { type CrashWindow, windowFor } from '../quarantine.ts'
import { readRun } from '../reader.ts'
import type { Owned, RunRow, Store } from '../store.ts'
import { setDeadline } from './local/deadline.ts'
import { judgeMachines } from './local/migrate.ts'
import { assertResume, assertStart } from './local/options.ts'
import { countCrash, quarantined } from './local/quarantine.ts'
import { type Findings, investigate } from './local/recovery.ts'
import { forgetCrashes, raise } from './local/run-limits.ts'
import { LocalSession } from './local/session.ts'
import { Tree } from './local/tree.ts'
import type { TurnLimits } from './local/turn.ts'

export interface LocalEngineOptions {
  readonly store: Store
  /** Default: the machine's clocks. */
  readonly clock?: Clock
  /** Makes run ids. Default: ULIDs of the wall clock. */
  readonly newId?: () => string
  readonly limits?: Partial<TurnLimits>
}

export type { TurnLimits }

const FINAL = ['succeeded', 'failed', 'canceled']

export function localEngine(options: LocalEngineOptions): Engine {
  const { store } = options
  const clock = options.clock ?? systemClock
  const limits: TurnLimits = { turnStepsMax: options.limits?.turnStepsMax ?? TURN_STEPS_MAX }
  const newId = options.newId ?? (() => newRunId(clock.wallMs()))
  const startedAt = clock.wallMs()
  const owner = () => ({ pid: process.pid, host: hostname(), startedAt })

  return {
    start: async (tree, host, start) => {
      assertStart(start)
      const run = start.id ?? newId()
      if (store.run(run) !== null)
        throw new UserError('E_RUN_EXISTS', 'a run with this id exists', { where: run, fix: `resume it, or choose another id`, exit: 2 })
      host.machineVersion(rootMachine(tree))
      const row = newRun(run, tree, start, clock.wallMs())
      createRun(store, host, row, owner())
      const owned = store.own(run, owner())
      return session({ store, host, clock, limits }, owned, null)
    },
    resume: async (run, host, resume) => resumeRun({ store, host, clock, limits }, run, owner(), resume),
    read: (run) => readRun(store, run),
    close: () => store.close(),
  }
}

function newRun(run: string, tree: TreeSpec, start: StartOptions, wallMs: number): RunRow {
  const spec: unknown = tree
  assertJson(spec, 'tree')
  const crashes = windowFor(start.quarantine)
  return {
    run,
    name: start.name ?? null,
    project: start.project ?? null,
    status: 'running',
    reason: null,
    tree: spec,
    input: start.input ?? null,
    limits: {
      tokensMax: start.budget?.tokensMax ?? null,
      ...(start.budget?.usdMax === undefined ? {} : { usdMax: start.budget.usdMax }),
      ...(start.budget?.turnsMax === undefined ? {} : { turnsMax: start.budget.turnsMax }),
      ...(start.budget?.whenReached === 'hold' ? { whenReached: 'hold' } : {}),
      deadlineAt: start.deadlineMs ?? null,
      ...(crashes === undefined ? {} : { crashes }),
    },
    meta: start.meta ?? null,
    output: null,
    createdAt: wallMs,
    endedAt: null,
    epoch: 0,
    owner: null,
    position: 0,
    hash: '',
    clock: { runMs: 0, wallMs },
    counters: { seq: 0, effects: 0, timers: 0 },
  }
}

const rootMachine = (spec: TreeSpec): string => (spec.dynamic === undefined ? SUPERVISOR_MACHINE : DYNAMIC_MACHINE)

/** The first commit: the run, its root and the envelope that starts it. From here on a crash loses nothing. */
function createRun(store: Store, host: Host, row: RunRow, owner: NonNullable<RunRow['owner']>): void {
  const tree = new Tree({ run: row, systemIds: {}, envelopes: [], timers: [], effects: [], asks: [] }, host, store)
  tree.begin(0, row.clock.wallMs)
  const pos = tree.fact('run.started', null, null, {
    name: row.name,
    pid: owner.pid,
    host: owner.host,
    limits: row.limits as unknown as Json,
    project: row.project,
  })
  const spec = row.tree as unknown as TreeSpec
  const address = `/${encodeURIComponent(spec.id)}`
  const input: Json = { spec: row.tree, input: row.input }
  const cell = {
    row: {
      address,
      incarnation: 1,
      since: 1,
      machine: rootMachine(spec),
      version: host.machineVersion(rootMachine(spec)),
      parent: null,
      id: spec.id,
      supervised: false,
      status: 'starting' as const,
      sync: false,
      readyTag: null,
      ready: false,
      input,
      children: [],
      nextId: 0,
      systemIds: {},
      exit: null,
      ...(spec.limits === undefined ? {} : { limits: spec.limits }),
    },
    snapshot: null,
  }
  tree.adopt(cell)
  tree.useMachine(rootMachine(spec))
  tree.change(cell, {})
  setDeadline(tree, cell, pos)
  tree.post(null, 0, { kind: 'start', to: address, incarnation: 1, from: null, event: { type: 'troupe.start', input } }, pos)
  const counters = { ...tree.counters }
  const { run: _run, epoch: _epoch, expectedPosition: _position, ...first } = tree.draft.commit(row, row.clock, counters)
  store.createRun(tree.draft.after(row, row.clock, counters), first)
}

interface Parts {
  readonly store: Store
  readonly host: Host
  readonly clock: Clock
  readonly limits: TurnLimits
}

function session({ store, host, clock, limits }: Parts, owned: Owned, findings: Findings | null): RunSession {
  return owning(owned, () => {
    const tree = new Tree(store.image(owned.run), host, store)
    return new LocalSession({
      tree,
      store,
      owned,
      clock,
      limits,
      recovery: findings?.recovery ?? null,
      first: findings === null ? undefined : (live) => findings.apply(live),
    })
  })
}

async function resumeRun(parts: Parts, run: string, owner: NonNullable<RunRow['owner']>, options: ResumeOptions): Promise<RunSession> {
  const { store, host, clock } = parts
  assertResume(run, options)
  const before = store.run(run)
  if (before === null)
    throw new UserError('E_RUN_NOT_FOUND', `no run \`${run}\` in ${store.path}`, {
      where: run,
      fix: 'troupe ps --all --everywhere',
      exit: 9,
    })
  if (FINAL.includes(before.status)) {
    throw new UserError('E_RUN_FINISHED', `${before.status}; there is nothing to continue`, {
      where: `run ${run}`,
      fix: `troupe show ${run}`,
      exit: 1,
    })
  }
  if (before.status === 'quarantined' && options.unquarantine !== true) throw quarantined(before)
  // Who takes a run from a living process has seen no crash.
  const isCrashed = before.status === 'running' && !store.isOwned(run)
  const owned = store.own(run, owner, options.takeOver === true ? { takeOver: true } : {})
  let takeBack = (): void => {}
  try {
    const image = store.image(run)
    // Before strays are ended and effects are probed: a run that cannot go on is left as it stands.
    const changes = judgeMachines(store, run, host)
    const probing = { run, host, clock, thread: (thread: string) => store.thread(run, thread) }
    const counted = isCrashed && options.unquarantine !== true ? await countCrash({ store, owned, probing, before: image.run }) : null
    if (counted !== null) takeBack = counted.takeBack
    const now = new RunClock(clock, image.run.clock).now()
    const known = { owner: before.owner, crashes: counted === null ? null : crashCount(counted.window), machines: changes.found }
    const findings = await investigate(image, probing, known, now)
    const apply = (tree: Tree): void => {
      // Limits first: whether what was cut off may be done again is judged by the new ones.
      findings.apply(tree, () => raise(tree, options))
      changes.apply(tree)
      if (options.unquarantine === true) forgetCrashes(tree)
    }
    return session(parts, owned, { ...findings, apply })
  } catch (error) {
    release(owned, takeBack)
    throw error
  }
}

/** A resume that ends in good order is no crash. Where not even that can be written, the run is given free all the same. */
function release(owned: Owned, takeBack: () => void): void {
  try {
    takeBack()
  } finally {
    owned.release()
  }
}

const crashCount = ({ seen, max, periodMs }: CrashWindow): Recovery['crashes'] =>
  max === null ? null : { count: seen.length, max, periodMs }

function owning<T>(owned: Owned, make: () => T): T {
  try {
    return make()
  } catch (error) {
    owned.release()
    throw error
  }
}
