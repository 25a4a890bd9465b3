/** The adapter of OpenAI-compatible servers against one that fails in each way. */
import { openaiCompatible } from '../../../src/actors/providers/openai-compatible.ts'
import { openaiServer } from '../../wire/openai.ts'
import { KEY, modelOf } from './asking.ts'
import { faultTests } from './cloud-faults.ts'

faultTests({
  model: modelOf('local', 'gpt-4.1'),
  serve: (script) => openaiServer({ script, apiKey: KEY }),
  provider: (url, key = KEY) => openaiCompatible({ name: 'local', apiKey: async () => key, baseUrl: `${url}/v1` }),
  midStream: { code: 'E_PROVIDER_UNREACHABLE', retry: 'backoff' },
  isCostKnownEarly: false,
})
