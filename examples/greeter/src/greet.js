import { countOf } from './count.js'
import { listOf } from './list.js'
import { wordsOf } from './locales.js'

/** `Hello Ann, Bob and Cy (3 guests)`. */
export function greet(names, { locale = 'en' } = {}) {
  const count = countOf(names.length, locale)
  return `${wordsOf(locale).hello} ${listOf(names, locale)} (${count})`
}
