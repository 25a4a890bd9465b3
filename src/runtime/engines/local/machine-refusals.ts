/** What a person is told whose run cannot go on with the machines that are registered now: which machine, what has changed, who is concerned, and the way out. */
import { errorData, UserError } from '../../../errors.ts'
import type { Address } from '../../../protocol.ts'
import type { CellRow, MachineRow, Store } from '../../store.ts'
import { type Comparison, standsIn } from '../../versions.ts'

/** `/top/a, /top/b and 7 more`. */
function named(cells: readonly { readonly address: Address }[]): string {
  const first = cells.slice(0, 3).map(({ address }) => address)
  return cells.length > 3 ? `${first.join(', ')} and ${cells.length - 3} more` : first.join(', ')
}

export function unknown(run: string, { name }: MachineRow, cells: readonly CellRow[]): UserError {
  return new UserError(
    'E_MACHINE_UNKNOWN',
    `no machine '${name}' is registered; ${named(cells)} ${cells.length === 1 ? 'uses' : 'use'} it`,
    {
      where: `run ${run}`,
      fix: `createTroupe({ machines: { '${name}': ... } }), or resume with the code that the run was started with`,
      exit: 3,
      details: { machine: name, actors: cells.map(({ address }) => address) },
    },
  )
}

export function changed(
  store: Pick<Store, 'snapshot'>,
  run: string,
  before: MachineRow,
  after: MachineRow,
  { differences, gone }: Pick<Comparison, 'differences' | 'gone'>,
  cells: readonly CellRow[],
): UserError {
  const standing = cells.flatMap((row) => {
    const value = row.status === 'starting' || gone.length === 0 ? null : (store.snapshot(run, row.address, row.incarnation)?.value ?? null)
    const state = standsIn(value).findLast((path) => gone.includes(path))
    return state === undefined ? [] : [{ address: row.address, state }]
  })
  const { name } = before
  const [from, to] = [before.version, after.version]
  const versions = from === to ? `still says version ${to}` : `is version ${to}, the run has ${from}, and no migration leads there`
  const where = standing.length === 0 ? '' : `; ${named(standing)} ${standing.length === 1 ? 'stands' : 'stand'} in what is gone`
  const raise = from === to ? 'raise its `version`, and add' : 'add'
  return new UserError('E_MACHINE_CHANGED', `machine ${name} has changed and ${versions}: ${differences.join('; ')}${where}`, {
    where: `run ${run}`,
    fix: `${raise} createTroupe({ migrations: { '${name}': (old) => ({ value, context }) } }), or resume with the code that the run was started with`,
    exit: 3,
    evidence: standing.map(({ address, state }) => `${address} stands in ${state}`),
    details: { machine: name, from, to, differences, gone, standing },
  })
}

export function failed(run: string, { address }: CellRow, before: MachineRow, error: unknown): UserError {
  const { code, message } = errorData(error)
  return new UserError(
    'E_MIGRATION_FAILED',
    `the migration of ${address} from version ${before.version} of ${before.name} failed: ${message}`,
    {
      where: `run ${run}`,
      fix: `mend createTroupe({ migrations: { '${before.name}': ... } }), and resume again: nothing has been changed`,
      exit: 3,
      details: { machine: before.name, from: before.version, address, code },
      cause: error,
    },
  )
}
