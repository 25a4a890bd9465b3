/** The words of each language. `guest` has one entry per plural form of the language. */
const WORDS = {
  en: { hello: 'Hello', and: 'and', guest: { one: 'guest', other: 'guests' } },
  de: { hello: 'Hallo', and: 'und', guest: { one: 'Gast', other: 'Gäste' } },
  pl: { hello: 'Dzień dobry', and: 'i', guest: { one: 'gość', other: 'goście' } },
}

export const LANGUAGES = Object.keys(WORDS)

export function wordsOf(locale) {
  const words = WORDS[locale]
  if (words === undefined) throw new RangeError(`no words for ${locale}; there are ${LANGUAGES.join(', ')}`)
  return words
}
