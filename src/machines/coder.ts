/**
 * Does a work item on a staged workspace: asks the model, performs its tool calls one after the other, until it says that it is done.
 *
 *   idle --task.assign--> working                         answers task.done {summary} | task.failed {error}
 *    |      deciding --no call waits, turns left--> generating --calls--> deciding
 *    |         |                                       '--no calls--> idle     the text is the summary
 *    |         |--turns used up--> idle                                        E_LIMIT_TURNS
 *    |         |--list, read, search--> reading ----------------> deciding
 *    |         |--edit, write--> planning --> writing ----------> deciding
 *    |         |--done--> idle
 *    |         '--anything else---------------------------------> deciding     the model is told that there is no such tool
 *    '--shutdown--> stopped
 *
 * What a tool refuses is told to the model, never a crash. A change is two effects: `write.plan` fixes the hashes before and after, `file.write` is proved
 * by them after a crash. Asked again for the same round, it goes on where it stands; any other assignment replaces the one at hand.
 */
import { errorData } from '../errors.ts'
import {
  abandoned,
  answered,
  CODER_TOOLS,
  callOf,
  itemOf,
  noSuchTool,
  opening,
  outOfTurns,
  refused,
  results,
  rules,
  seenHash,
  summaryOf,
  talk,
  told,
} from './coder-rules.ts'
import type { WritePlan } from './effects.ts'

/** Machine of `/team/coder`. */
export const coder = rules.createMachine({
  id: 'coder',
  version: '1',
  context: ({ input }) => ({
    address: input.address,
    system: input.system,
    iterationsMax: input.iterationsMax ?? 30,
    replyTo: null,
    task: null,
    calls: [],
    seen: [],
    conversations: [],
  }),
  initial: 'idle',
  on: {
    'task.assign': [
      {
        guard: 'isAssignment',
        target: '.working',
        actions: [
          { type: 'say', params: ({ context }) => abandoned(context) },
          { type: 'say', params: ({ context, event }) => ({ item: event.item.id, messages: opening(context, event) }) },
          'take',
        ],
      },
      { guard: 'wantsAnswer', actions: 'reject' },
    ],
  },
  states: {
    idle: { entry: 'rest', on: { shutdown: 'stopped' } },
    working: {
      on: { 'task.assign': { guard: 'isSameRound', target: 'working', reenter: true, actions: 'takeAsker' } },
      initial: 'deciding',
      states: {
        deciding: {
          always: [
            {
              guard: 'outOfTurns',
              target: '#coder.idle',
              actions: { type: 'fail', params: ({ context }) => ({ error: outOfTurns(context) }) },
            },
            { guard: 'nothingToCall', target: 'generating' },
            { guard: 'isRead', target: 'reading' },
            { guard: 'isWrite', target: 'planning' },
            {
              guard: 'isDone',
              target: '#coder.idle',
              actions: [
                { type: 'finish', params: ({ context }) => ({ summary: summaryOf(context) }) },
                { type: 'say', params: ({ context }) => ({ item: itemOf(context), messages: results(context.calls, 'done') }) },
              ],
            },
            {
              target: 'deciding',
              reenter: true,
              actions: [
                { type: 'say', params: ({ context }) => told(context, noSuchTool(context)) },
                { type: 'settleCall', params: { seen: null } },
              ],
            },
          ],
        },
        generating: {
          invoke: {
            id: 'generate',
            src: 'generate',
            input: ({ context }) => {
              const { thread, turns, chars } = talk(context)
              return {
                agent: 'coder',
                thread,
                item: itemOf(context),
                turn: turns + 1,
                tools: [...CODER_TOOLS],
                format: 'text',
                promptChars: chars,
              }
            },
            onDone: [
              {
                guard: { type: 'hasCalls', params: ({ event }) => event.output },
                target: 'deciding',
                actions: [
                  { type: 'say', params: ({ context, event }) => answered(context, event.output.message) },
                  { type: 'queueCalls', params: ({ event }) => event.output },
                ],
              },
              {
                target: '#coder.idle',
                actions: [
                  { type: 'say', params: ({ context, event }) => answered(context, event.output.message) },
                  { type: 'finish', params: ({ event }) => ({ summary: event.output.message.content }) },
                ],
              },
            ],
            onError: [
              // The answer crashed us and we were restarted: the model is asked again. A bug that stays ends in the supervisor's intensity.
              { guard: ({ event }) => errorData(event.error).code === 'E_POISON', target: 'generating', reenter: true },
              { target: '#coder.idle', actions: { type: 'fail', params: ({ event }) => ({ error: errorData(event.error) }) } },
            ],
          },
        },
        reading: {
          invoke: {
            id: 'read',
            src: 'read',
            input: ({ context }) => ({
              dir: context.task?.dir ?? '',
              tool: callOf(context).name as 'list' | 'read' | 'search',
              args: callOf(context).args,
            }),
            onDone: {
              target: 'deciding',
              actions: [
                { type: 'say', params: ({ context, event }) => told(context, event.output.content) },
                { type: 'settleCall', params: ({ event }) => ({ seen: event.output.seen }) },
              ],
            },
            onError: {
              target: 'deciding',
              actions: [
                { type: 'say', params: ({ context, event }) => told(context, refused(event.error)) },
                { type: 'settleCall', params: { seen: null } },
              ],
            },
          },
        },
        planning: {
          invoke: {
            id: 'plan',
            src: 'planWrite',
            input: ({ context }) => ({
              dir: context.task?.dir ?? '',
              tool: callOf(context).name as 'edit' | 'write',
              args: callOf(context).args,
              seen: seenHash(context),
            }),
            onDone: 'writing',
            onError: {
              target: 'deciding',
              actions: [
                { type: 'say', params: ({ context, event }) => told(context, refused(event.error)) },
                { type: 'settleCall', params: { seen: null } },
              ],
            },
          },
        },
        writing: {
          invoke: {
            id: 'write',
            src: 'write',
            input: ({ context, event }) => ({ dir: context.task?.dir ?? '', plan: (event as unknown as { output: WritePlan }).output }),
            onDone: {
              target: 'deciding',
              actions: [
                { type: 'say', params: ({ context, event }) => told(context, `wrote ${event.output.path}`) },
                { type: 'settleCall', params: ({ event }) => ({ seen: event.output }) },
              ],
            },
            onError: {
              target: 'deciding',
              actions: [
                { type: 'say', params: ({ context, event }) => told(context, refused(event.error)) },
                { type: 'settleCall', params: { seen: null } },
              ],
            },
          },
        },
      },
    },
    stopped: { type: 'final' },
  },
})
