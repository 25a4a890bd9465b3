/**
 * A real file system in a file. What the kernel has not written yet is not in the file: a copy of it is what a machine finds after a power cut, and
 * mounting the copy is what the machine does then: the file system replays its journal.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished, type TestContext } from 'vitest'
import { needs } from './place.ts'

const IMAGE_BYTES = 48 * 1_024 * 1_024

/** Runs a tool that needs root, as root or by `sudo -n`. @returns null, or why it did not work. */
function asRoot(...command: string[]): string | null {
  const [file, ...args] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command]
  const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
  const done = spawnSync(file!, args, { encoding: 'utf8', env: { ...process.env, PATH } })
  if (done.status === 0) return null
  return `\`${command.slice(0, 2).join(' ')}\` failed: ${(done.error?.message ?? done.stderr).trim().split('\n').at(-1)}`
}

export interface Machine {
  /** Where its file system is. */
  readonly root: string
  /** Pulls the plug of a twin: a machine that has of this one what was on the disk, started again. It is gone when the test is over. */
  powerCut(): Machine
  unmount(): void
}

/** A machine whose disk is an image in this folder. Skips the test, with the reason, where none can be mounted; fails there in CI. */
export function machine(context: TestContext, folder: string): Machine {
  const image = join(folder, 'disk.img')
  writeFileSync(image, '')
  truncateSync(image, IMAGE_BYTES)
  // Without lazy initialization: the kernel would go on writing behind the test.
  const made = asRoot('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image)
  if (made !== null) needs(context, `a power cut needs an ext4 image: ${made}`)
  let twins = 0
  function start(disk: string): Machine {
    const root = `${disk}.mounted`
    mkdirSync(root)
    const failed = asRoot('mount', '-o', 'loop', disk, root) ?? asRoot('chmod', '777', root)
    if (failed !== null) needs(context, `a power cut needs a loop device: ${failed}`)
    let mounted = true
    const unmount = (): void => {
      if (mounted) asRoot('umount', '-l', root)
      mounted = false
    }
    onTestFinished(unmount)
    return {
      root,
      unmount,
      powerCut() {
        const copy = join(folder, `copy-${++twins}.img`)
        copyFileSync(disk, copy)
        onTestFinished(() => rmSync(copy, { force: true }))
        return start(copy)
      },
    }
  }
  return start(image)
}
