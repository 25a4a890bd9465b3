/** Figures, goals and the text that is printed of them. */
import { expect, test } from 'vitest'
import { atLeast, atMost, figure, scaled } from '../../bench/figure.ts'
import { headText, sectionText } from '../../bench/report.ts'

test('a figure is the median of its samples, with their range, and knows whether it meets its goal', () => {
  expect(figure('ratio', 'x', [0.9, 0.5, 0.7], atLeast(0.7))).toEqual({
    name: 'ratio',
    unit: 'x',
    value: 0.7,
    min: 0.5,
    max: 0.9,
    samples: 3,
    goal: { at: 'least', value: 0.7 },
    met: true,
  })
  expect(figure('time', 'ms', [3, 1], atMost(1.9))).toMatchObject({ value: 2, goal: { at: 'most', value: 1.9 }, met: false })
  expect(figure('count', '', 4)).toMatchObject({ value: 4, min: 4, max: 4, samples: 1, goal: null, met: null })
  expect(() => figure('nothing', 'ms', [])).toThrow('nothing: nothing was measured')
})

test('sizes are scaled to whole multiples, and never to nothing', () => {
  expect([
    scaled(10_000, { scale: 0.01 }),
    scaled(12_288, { scale: 0.01 }, 64),
    scaled(100, { scale: 0.0001 }),
    scaled(5, { scale: 0 }, 3),
  ]).toEqual([100, 128, 1, 3])
})

test('a section is printed with the range of its rounds, and with each goal beside its figure', () => {
  const cases = [
    { name: '64 actors', figures: [figure('engine to raw', 'x', [0.71, 0.66, 0.78], atLeast(0.7)), figure('a step', 'us', 1_234.5)] },
    { name: '1 actor', figures: [figure('engine', 'steps/s', [3_000, 4_000.4]), figure('log', 'bytes', 25_084, atMost(24_576))] },
  ]
  expect(sectionText({ measurement: 'steps', question: 'what does a step cost?', cases }).split('\n')).toEqual([
    '',
    'steps: what does a step cost?',
    '  64 actors',
    '    engine to raw          0.71 x        0.66 to 0.78            goal: at least 0.70  met',
    '    a step                1,235 us',
    '',
    '  1 actor',
    '    engine         3,500 steps/s  3,000 to 4,000',
    '    log           25,084 bytes                            goal: at most 24,576  MISSED',
  ])
})

test('a report begins with the machine, and warns where a sync costs nothing', () => {
  const environment = {
    processor: 'P',
    cores: 2,
    load1m: 1.25,
    platform: 'linux x64',
    node: 'v24.0.0',
    sqlite: '3.54.1',
    tmpfs: true,
    at: '2026-11-20T00:00:00.000Z',
  }
  expect(headText({ environment }).split('\n')).toEqual([
    '2026-11-20T00:00:00.000Z  P, 2 cores, load 1.3, linux x64, node v24.0.0, sqlite 3.54.1',
    'medians, and the range of single rounds in which both sides took turns; other processes may have run meanwhile',
    'the folder is in memory (tmpfs): a sync costs nothing there, give --dir on a disk',
  ])
  expect(headText({ environment: { ...environment, tmpfs: false } })).not.toContain('tmpfs')
})
