/** Words of the query as the chips and links write them. */

/** Return a name as one word of a query. */
export function quotedWord(name: string): string {
  return /^[\w.+-]+$/.test(name) ? name : `"${name.replaceAll('"', "")}"`;
}

/** Return the words of a query, quoted ones whole. */
export function wordsOf(query: string): string[] {
  return query.match(/(?:"[^"]*"?|[^\s"])+/g) ?? [];
}

/** Return the query with a word added, or without it where it has it. */
export function toggled(query: string, word: string): string {
  const words = wordsOf(query);
  return words.includes(word) ? words.filter((each) => each !== word).join(" ") : [...words, word].join(" ");
}
