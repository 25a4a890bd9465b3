/** Small and read-only file systems, for disks that are full and folders that cannot be written. Root only: others are told why a test was skipped. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished, type TestContext } from 'vitest'
import { folder } from './samples.ts'

/** A tmpfs of `sizeKb`, unmounted after the test. Skips the test, with the reason, where it cannot be mounted. */
export function smallDisk(context: TestContext, sizeKb: number): string {
  const path = join(folder(), 'disk')
  mkdirSync(path)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeKb}k`, 'none', path], { encoding: 'utf8' })
  if (mounted.status !== 0) skip(context, `no tmpfs can be mounted here (${mounted.error?.message ?? mounted.stderr.trim()}); run as root`)
  onTestFinished(() => void execFileSync('umount', ['-l', path]))
  return path
}

export function remount(path: string, option: 'ro' | 'rw'): void {
  execFileSync('mount', ['-o', `remount,${option}`, path])
}

/** Skips visibly: the default reporter hides the reason. */
export function skip(context: TestContext, reason: string): never {
  process.stderr.write(`skipped "${context.task.name}": ${reason}\n`)
  return context.skip(reason)
}
