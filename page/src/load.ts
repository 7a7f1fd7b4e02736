/** Reading the chunks that the page embeds. */

const SHOWN_ESCAPED =
  /\\(?:\\|u00(?:[01][0-9a-f]|7f|[89][0-9a-f])|u(?:061c|200b|200[ef]|202[a-e]|206[0-9a-f]|feff)|.)|[\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gi;

/**
 * Return JSON in which control characters and overrides of the writing direction stand as visible escapes: what a
 * test or a log says may be made to mislead, and every text of the page comes through here.
 */
export function visible(json: string): string {
  return json.replace(SHOWN_ESCAPED, (found) => {
    if (found.length === 1) return `\\\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
    if (found === "\\r" || found === "\\b" || found === "\\f") return `\\${found}`;
    return found.length === 2 ? found : `\\${found}`;
  });
}

function bytes(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64.trim());
  const result = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) result[index] = text.charCodeAt(index);
  return result;
}

const parsed = new Map<string, Promise<unknown>>();

async function read(name: string): Promise<unknown> {
  const element = document.querySelector(`script[type="application/gzip"][id="${name}"]`);
  if (!element) return null;
  const packed = new Blob([bytes(element.textContent ?? "")]).stream();
  const unpacked = packed.pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(visible(await new Response(unpacked).text()));
}

/** Return a chunk's value, unpacked once; null where the page has no such chunk. */
export function chunk<T>(name: string): Promise<T | null> {
  const known = parsed.get(name) ?? read(name);
  parsed.set(name, known);
  return known as Promise<T | null>;
}
