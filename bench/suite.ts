/** All measurements, in the order in which they are reported. */
import type { Measurement } from './figure.ts'
import { calls } from './measurements/calls.ts'
import { conversation } from './measurements/conversation.ts'
import { fairness } from './measurements/fairness.ts'
import { idle } from './measurements/idle.ts'
import { million } from './measurements/million.ts'
import { plain } from './measurements/plain.ts'
import { pool } from './measurements/pool.ts'
import { resume } from './measurements/resume.ts'
import { steps } from './measurements/steps.ts'
import { supervised } from './measurements/supervised.ts'
import { watchers } from './measurements/watchers.ts'

export const MEASUREMENTS: readonly Measurement[] = [
  steps,
  plain,
  conversation,
  pool,
  supervised,
  idle,
  resume,
  watchers,
  calls,
  fairness,
  million,
]
