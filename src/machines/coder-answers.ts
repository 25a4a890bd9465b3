/**
 * What a coder makes of an answer that is neither a call that fits nor a decision (P20, S10). A script is taken at its word: this is for models.
 *
 *   a call that does not fit     told what was wrong, once in a row; then E_PROVIDER_OUTPUT, and the next model of the chain is asked
 *   text without a decision      told to go on or to decide, twice in a row; then its text is the summary, as of a model that cannot call tools
 *   anything else                as it is, and both counts begin anew
 */
import type { ErrorData } from '../errors.ts'
import { completionNudge, completionOf } from './completion.ts'
import type { GenerateOutput } from './effects.ts'
import { type Calling, modelAtHand } from './model-call.ts'
import { needsRepair, repairMessages, unrepaired } from './repair.ts'
import type { Message } from './vocabulary.ts'

/** How often in a row. Absent: not at all. */
export interface Slips {
  readonly repairs: number
  readonly nudges: number
}
export const NO_SLIPS: Slips = { repairs: 0, nudges: 0 }

interface Answering extends Calling {
  readonly slips?: Slips | undefined
}

const isOfModel = (context: Answering, { usage }: GenerateOutput): boolean => modelAtHand(context) !== undefined && usage.simulated !== true
const slipsOf = ({ slips = NO_SLIPS }: Answering): Slips => slips

/** Must it be said again before anything of it is performed? */
export const mustRepair = (context: Answering, output: GenerateOutput): boolean =>
  isOfModel(context, output) && slipsOf(context).repairs === 0 && needsRepair(output.message)

/** Was it said again and does not fit again? Then it is left out of the conversation. */
export const cannotRepair = (context: Answering, output: GenerateOutput): boolean =>
  isOfModel(context, output) && slipsOf(context).repairs > 0 && needsRepair(output.message)

/** Why a model that cannot repair its answer is given up for this call. */
export const misfit = ({ message }: GenerateOutput): ErrorData => unrepaired(message)

/** Has it said something and decided nothing? */
export const isSilent = (context: Answering, output: GenerateOutput): boolean =>
  isOfModel(context, output) &&
  completionNudge(slipsOf(context).nudges) !== null &&
  completionOf(output.message, { simulated: false }).kind === 'silent'

/** The answer, and what its model is told about it. */
export const repairWords = ({ message }: GenerateOutput): readonly Message[] => [message, ...repairMessages(message)]
export const nudgeWords = (context: Answering, { message }: GenerateOutput): readonly Message[] => [
  message,
  { role: 'user', content: completionNudge(slipsOf(context).nudges) ?? '' },
]

/** One more of a kind; the other kind begins anew. */
export const slipped = (context: Answering, kind: keyof Slips): Slips => ({ ...NO_SLIPS, [kind]: slipsOf(context)[kind] + 1 })

/** The summary of a round that ends with this answer. */
export const endingText = (context: Answering, output: GenerateOutput): string =>
  isOfModel(context, output) ? completionOf(output.message, { simulated: false }).text : output.message.content
