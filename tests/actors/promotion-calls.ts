/** The file calls of a promotion, counted: before each one the test may end the world. Calls on open files count too. */
import { FILES, type FileCalls } from '../../src/actors/workspaces/replace.ts'

/** Calls `before` with the number of the call (from 1), its name and its arguments. A throw there is the end: no later call happens either. */
export function counting(before: (count: number, name: string, args: readonly unknown[]) => void): FileCalls {
  let count = 0
  let dead: unknown
  const wrap = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(from, name) {
        const value: unknown = Reflect.get(from, name)
        if (typeof value !== 'function') return value
        return async (...args: unknown[]): Promise<unknown> => {
          if (dead === undefined) {
            try {
              before(++count, String(name), args)
            } catch (error) {
              dead = error
            }
          }
          if (dead !== undefined) {
            if (name === 'close') await Reflect.apply(value, from, args) // A dead process has no open files.
            throw dead
          }
          const result: unknown = await Reflect.apply(value, from, args)
          return name === 'open' ? wrap(result as object) : result
        }
      },
    })
  return wrap({ ...FILES })
}
