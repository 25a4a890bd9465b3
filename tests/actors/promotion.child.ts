/** Promotes the plan in a file and kills itself, as `kill -9` does, right before its n-th file call. */
import { readFileSync } from 'node:fs'
import { type PromotionPlan, promote } from '../../src/actors/promotion.ts'
import { counting } from './promotion-calls.ts'

const [file = '', call = '0'] = process.argv.slice(2)
const plan = JSON.parse(readFileSync(file, 'utf8')) as PromotionPlan
await promote(plan, {
  fs: counting((count) => {
    if (count === Number(call)) process.kill(process.pid, 'SIGKILL')
  }),
})
