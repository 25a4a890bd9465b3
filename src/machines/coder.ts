/**
 * Does a work item on a staged workspace: asks the model, performs its tool calls one after the other, until it says that it is done.
 *
 *   idle --task.assign--> working                         answers task.done {summary} | task.failed {error}
 *    |      deciding --no call waits, turns left--> generating --calls--> deciding
 *    |         |--a new item, it remembers--> recalling -------> deciding     the first words wait for it
 *    |         |--the same, and the conversation is long--> compacting --a summary, or a line in its place--> deciding
 *    |         |--the same call for the 3rd time-----------------> deciding     it is not performed, the model is told
 *    |         |--the 4th time--> looped                                        this life ends with E_LOOP_ESCALATED, the supervisor decides
 *    |         |                               |--a call that does not fit--> deciding     told once, then the next model is asked
 *    |         |                               |--text, nothing decided--> deciding        told twice, then as below; a script is taken at its word
 *    |         |                               '--no calls--> idle     the text is the summary
 *    |         |--turns used up--> idle                                        E_LIMIT_TURNS
 *    |         |--the model failed, another may help--> generating                fact model.switched; nobody left: task.failed
 *    |         |--list, read, search--> reading ----------------> deciding
 *    |         |--edit, write--> planning --> writing ----------> deciding
 *    |         |--done--> idle
 *    |         '--anything else---------------------------------> deciding     the model is told that there is no such tool
 *    |--task.abandon--> idle                                                  answers task.abandoned {partial}
 *    '--shutdown--> stopped
 *
 * What a tool refuses is told to the model, never a crash. A change is two effects: `write.plan` fixes the hashes before and after, `file.write` is proved
 * by them after a crash. Asked again for the same round, it goes on where it stands; any other assignment replaces the one at hand.
 */
import { errorData } from '../errors.ts'
import { EXIT_KEY } from '../protocol.ts'
import { endingText, misfit, nudgeWords, repairWords } from './coder-answers.ts'
import { openingWith, rememberingOf } from './coder-recall.ts'
import {
  answered,
  CODER_TOOLS,
  callOf,
  itemOf,
  noSuchTool,
  opening,
  outOfTurns,
  refused,
  rules,
  seenHash,
  summaryOf,
  talk,
  told,
  unperformed,
  windowOf,
} from './coder-rules.ts'
import { compactQuestion, openWindow, windowInput } from './compacting.ts'
import type { WritePlan } from './effects.ts'
import { askedOf, callingOf, failedCall } from './model-call.ts'
import { NO_CALLS } from './tool-loops.ts'

/** Machine of `/team/coder`. */
export const coder = rules.createMachine({
  id: 'coder',
  version: '2',
  context: ({ input }) => ({
    address: input.address,
    system: input.system,
    iterationsMax: input.iterationsMax ?? 30,
    replyTo: null,
    task: null,
    calls: [],
    seen: [],
    conversations: [],
    limits: input.loops ?? {},
    loops: NO_CALLS,
    judged: null,
    blockedTurn: 0,
    partial: null,
    circle: null,
    ...callingOf(input),
    ...rememberingOf(input),
    window: openWindow(input.optimizer, input.window),
  }),
  output: ({ context }) => (context.circle === null ? undefined : { [EXIT_KEY]: { kind: 'error', error: context.circle } }),
  initial: 'idle',
  on: {
    'task.assign': [
      {
        guard: 'isAssignment',
        target: '.working',
        actions: [
          { type: 'say', params: ({ context }) => unperformed(context, 'not done: other work came first') },
          { type: 'say', params: ({ context, event }) => opening(context, event) },
          'forgetPolling',
          'take',
          'beginRecall',
        ],
      },
      { guard: 'wantsAnswer', actions: 'reject' },
    ],
    'task.abandon': [
      {
        guard: 'isAbandoned',
        target: '.idle',
        actions: [{ type: 'say', params: ({ context }) => unperformed(context, 'not done: the time of the item is up') }, 'tellPartial'],
      },
      { guard: 'wantsToAbandon', actions: 'tellPartial' },
    ],
  },
  states: {
    idle: { entry: ['forgetPolling', 'rest'], on: { shutdown: 'stopped' } },
    working: {
      on: {
        'task.assign': { guard: 'isSameRound', target: 'working', reenter: true, actions: 'takeAsker' },
        'polling.expired': { actions: 'expirePolling' },
      },
      initial: 'deciding',
      states: {
        deciding: {
          entry: 'judge',
          always: [
            { guard: 'mustRecall', target: 'recalling' },
            {
              guard: 'outOfTurns',
              target: '#coder.idle',
              actions: { type: 'fail', params: ({ context }) => ({ error: outOfTurns(context) }) },
            },
            { guard: 'isFull', target: 'compacting' },
            { guard: 'nothingToCall', target: 'generating' },
            {
              guard: 'goesInCircles',
              target: '#coder.looped',
              actions: [
                'tellLoop',
                'tellEscalated',
                'takeCircle',
                { type: 'say', params: ({ context }) => unperformed(context, 'not done: the same call again and again') },
              ],
            },
            { guard: 'isBlocked', target: 'deciding', reenter: true, actions: ['tellLoop', 'blockCall'] },
            { guard: 'isRead', target: 'reading' },
            { guard: 'isWrite', target: 'planning' },
            {
              guard: 'isDone',
              target: '#coder.idle',
              actions: [
                { type: 'finish', params: ({ context }) => ({ summary: summaryOf(context) }) },
                { type: 'say', params: ({ context }) => unperformed(context, 'done') },
              ],
            },
            {
              target: 'deciding',
              reenter: true,
              actions: { type: 'finishCall', params: ({ context }) => ({ content: noSuchTool(context), seen: null }) },
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
                ...windowInput(windowOf(context), talk(context)),
                ...askedOf(context),
              }
            },
            onDone: [
              {
                guard: { type: 'mustRepair', params: ({ event }) => ({ output: event.output }) },
                target: 'deciding',
                actions: [
                  { type: 'learn', params: ({ event }) => event.output },
                  { type: 'say', params: ({ context, event }) => told(context, repairWords(event.output)) },
                  { type: 'countSlip', params: { kind: 'repairs' } },
                ],
              },
              {
                guard: { type: 'givesUpModel', params: ({ event }) => ({ output: event.output }) },
                target: 'generating',
                reenter: true,
                actions: [
                  { type: 'tellSwitched', params: ({ event }) => ({ error: misfit(event.output) }) },
                  { type: 'switchModel', params: ({ event }) => ({ error: misfit(event.output) }) },
                  'forgetSlips',
                ],
              },
              {
                guard: { type: 'cannotRepair', params: ({ event }) => ({ output: event.output }) },
                target: '#coder.idle',
                actions: [
                  { type: 'fail', params: ({ context, event }) => ({ error: failedCall(context, misfit(event.output)) }) },
                  'forgetSlips',
                ],
              },
              {
                guard: { type: 'hasCalls', params: ({ event }) => event.output },
                target: 'deciding',
                actions: [
                  'forgetSlips',
                  { type: 'learn', params: ({ event }) => event.output },
                  { type: 'say', params: ({ context, event }) => answered(context, event.output.message) },
                  { type: 'queueCalls', params: ({ event }) => event.output },
                ],
              },
              {
                guard: { type: 'isSilent', params: ({ event }) => ({ output: event.output }) },
                target: 'deciding',
                actions: [
                  { type: 'learn', params: ({ event }) => event.output },
                  { type: 'say', params: ({ context, event }) => told(context, nudgeWords(context, event.output)) },
                  { type: 'countSlip', params: { kind: 'nudges' } },
                ],
              },
              {
                target: '#coder.idle',
                actions: [
                  { type: 'learn', params: ({ event }) => event.output },
                  { type: 'say', params: ({ context, event }) => answered(context, event.output.message) },
                  { type: 'finish', params: ({ context, event }) => ({ summary: endingText(context, event.output) }) },
                  'forgetSlips',
                ],
              },
            ],
            onError: [
              // The answer crashed us and we were restarted: the model is asked again. A bug that stays ends in the supervisor's intensity.
              { guard: ({ event }) => errorData(event.error).code === 'E_POISON', target: 'generating', reenter: true },
              {
                guard: { type: 'hasAnotherModel', params: ({ event }) => ({ error: event.error }) },
                target: 'generating',
                reenter: true,
                actions: [
                  { type: 'tellSwitched', params: ({ event }) => ({ error: event.error }) },
                  { type: 'switchModel', params: ({ event }) => ({ error: event.error }) },
                ],
              },
              {
                target: '#coder.idle',
                actions: { type: 'fail', params: ({ context, event }) => ({ error: failedCall(context, event.error) }) },
              },
            ],
          },
        },
        recalling: {
          invoke: {
            id: 'recall',
            src: 'recall',
            input: ({ context }) => context.recalling!.input,
            onDone: {
              target: 'deciding',
              actions: [{ type: 'say', params: ({ context, event }) => openingWith(context, event.output.text) }, 'endRecall'],
            },
            // Who cannot remember works without.
            onError: {
              target: 'deciding',
              actions: [{ type: 'say', params: ({ context }) => openingWith(context, '') }, 'endRecall'],
            },
          },
        },
        compacting: {
          entry: [
            'beginCompacting',
            { type: 'ask', params: ({ context }) => compactQuestion(windowOf(context), talk(context), itemOf(context)) },
          ],
          on: {
            'ask.answered': [{ guard: 'isLate' }, { target: 'deciding', actions: 'compact' }],
            'ask.down': [{ guard: 'isLate' }, { target: 'deciding', actions: 'compact' }],
            'ask.timed_out': [{ guard: 'isLate' }, { target: 'deciding', actions: 'compact' }],
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
              actions: { type: 'finishCall', params: ({ event }) => event.output },
            },
            onError: {
              target: 'deciding',
              actions: { type: 'finishCall', params: ({ event }) => ({ content: refused(event.error), seen: null }) },
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
              actions: { type: 'finishCall', params: ({ event }) => ({ content: refused(event.error), seen: null }) },
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
              actions: {
                type: 'finishCall',
                params: ({ event }) => ({ content: `wrote ${event.output.path}`, seen: event.output, wrote: true }),
              },
            },
            onError: {
              target: 'deciding',
              actions: { type: 'finishCall', params: ({ event }) => ({ content: refused(event.error), seen: null }) },
            },
          },
        },
      },
    },
    looped: { type: 'final' },
    stopped: { type: 'final' },
  },
})
