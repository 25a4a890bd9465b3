/** A file leaves the process as it found it: the next file of the same process sees no spy, no stub and no variable of this one. */
import { afterAll, expect, vi } from 'vitest'

const [before, folder] = [{ ...process.env }, process.cwd()]

afterAll(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
  vi.unstubAllEnvs()
  vi.useRealTimers()
  const changed = Object.keys({ ...before, ...process.env }).filter((name) => process.env[name] !== before[name])
  expect({ changed, folder: process.cwd() }).toEqual({ changed: [], folder })
})
