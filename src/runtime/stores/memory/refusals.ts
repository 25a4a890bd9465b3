/** What a store in memory refuses, under the codes and exits that every store has. */
import { Defect, UserError } from '../../../errors.ts'
import type { RunRow } from '../../store.ts'

/** What `path` says of a store that has no file. */
export const MEMORY_PATH = '(memory)'
/** Exit code of everything that is wrong with a store. */
const EXIT_STORE = 10

export function notFound(run: string): UserError {
  return new UserError('E_RUN_NOT_FOUND', `no run \`${run}\` in ${MEMORY_PATH}`, {
    where: `run ${run}`,
    fix: 'name a run of this process, or use sqliteStore',
    exit: 9,
  })
}

export function exists(run: string): UserError {
  return new UserError('E_RUN_EXISTS', `run \`${run}\` is in ${MEMORY_PATH} already`, {
    where: `run ${run}`,
    fix: 'resume it, or choose another id',
    exit: 2,
  })
}

/** Somebody holds the run and has not let go. */
export function owned({ run, owner, epoch, clock }: RunRow): UserError {
  return new UserError('E_RUN_OWNED', `held by pid ${owner?.pid ?? 'unknown'} on ${owner?.host ?? 'unknown'}, epoch ${epoch}`, {
    where: `run ${run}`,
    fix: 'release() what owns it, or take it over with takeOver: true',
    exit: EXIT_STORE,
    retryable: true,
    details: { run, pid: owner?.pid ?? null, host: owner?.host ?? null, epoch, lastCommitMs: Math.max(0, Date.now() - clock.wallMs) },
  })
}

/** The history up to `anchor` was pruned. */
export function pruned(run: string, at: number, anchor: number): UserError {
  return new UserError('E_POSITION_PRUNED', `position ${at} of run ${run} was pruned; its history begins at ${anchor}`, {
    where: `run ${run}`,
    fix: `ask for a position from ${anchor} on`,
    exit: 9,
    details: { run, at, anchor },
  })
}

export function noBackup(): UserError {
  return new UserError('E_STORE_IN_MEMORY', `${MEMORY_PATH} ends with its process and has no file to copy`, {
    where: 'store',
    fix: "keep runs in a file: sqliteStore({ path: 'troupe.db' })",
    exit: EXIT_STORE,
  })
}

export function closed(): Defect {
  return new Defect('E_STORE_CLOSED', `the store ${MEMORY_PATH} was closed`, { hint: 'use a store until its close() and not after' })
}

/** Another owner came, or the journal ends elsewhere. */
export function lost(row: RunRow, epoch: number, expectedPosition: number | null): Defect {
  const { run } = row
  const data = { run, epoch, ownerEpoch: row.epoch, position: row.position }
  if (row.epoch === epoch) {
    return new Defect('E_LEASE_LOST', `run ${run}: its journal ends at ${row.position} and not at ${expectedPosition}`, data)
  }
  const message = `run ${run}: epoch ${row.epoch} owns it now, this is epoch ${epoch}`
  return new Defect('E_LEASE_LOST', message, { ...data, owner: row.owner })
}
