/** Asks before something is deleted or replaced. Without a terminal nothing is: then `-y` must say so. */
import { createInterface } from 'node:readline/promises'
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import type { Context } from './context.ts'

/**
 * True where the person agrees, or has by `-y`.
 * @throws {UserError} `E_CONFIRM_REQUIRED` (exit 2) where nobody can be asked.
 */
export async function confirm({ config, flags }: Context, verb: string, question: string): Promise<boolean> {
  if (flags.yes) return true
  if (!config.prompts) {
    throw new UserError('E_CONFIRM_REQUIRED', `${question}? nobody can be asked here`, {
      where: verb,
      fix: `troupe ${verb} -y`,
      exit: exitOf('E_CONFIRM_REQUIRED'),
    })
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new Promise<string>((resolve) => prompt.once('close', () => resolve('')))
  const answer = await Promise.race([prompt.question(`${question}? [y/N] `), ended])
  prompt.close()
  return /^y(es)?$/i.test(answer.trim())
}
