/** The adapter of Anthropic against a server that fails in each way. */
import { anthropic } from '../../../src/actors/providers/anthropic.ts'
import { anthropicServer } from '../../wire/anthropic.ts'
import { KEY, modelOf } from './asking.ts'
import { faultTests } from './cloud-faults.ts'

faultTests({
  model: modelOf('anthropic', 'claude-haiku-4-5'),
  serve: (script) => anthropicServer({ script, apiKey: KEY }),
  provider: (url, key = KEY) => anthropic({ apiKey: async () => key, baseUrl: url }),
  midStream: { code: 'E_PROVIDER_OVERLOADED', retry: 'backoff' },
  isCostKnownEarly: true,
})
