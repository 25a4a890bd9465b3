/** Records exchanges with a server until it is killed. Says the number of each answer that it has had whole, after it has had it. */
import { recordingFetch } from '../../../src/actors/cassettes/record.ts'

const [, , file = '', url = '', from = '0'] = process.argv
const recording = await recordingFetch({ file, append: Number(from) > 0 })
process.stdout.write(`torn ${recording.torn?.line ?? '-'}\n`)
for (let n = Number(from); ; n++) {
  const answers = [n, n + 0.5].map(async (number) => {
    const response = await recording.fetch(`${url}/n`, { method: 'POST', body: JSON.stringify({ number }) })
    await response.text()
    process.stdout.write(`had ${number}\n`)
  })
  await Promise.all(answers)
}
