/** The query, its chips, and what it selects. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Selection } from "../lines";
import type { Model } from "../model";
import { go, place } from "../place";
import { CAUSES, SEVERITY } from "../words";
import { changes } from "./changes";
import { quotedWord, toggled, wordsOf } from "../words_of_query";

/** Of more environments than these, none has a chip. */
const FEW = 8;

/** Return the words that select something in this page, in groups. */
function chips(model: Model): { title: string; words: string[] }[] {
  const has = <Key extends string>(of: (counts: Model["counts"][number]) => Partial<Record<Key, number>>, key: Key) =>
    model.counts.some((counts) => of(counts)[key]);
  const environments = model.page.environments;
  const kinds = model.page.against ? [...changes(model).keys()] : [];
  return [
    {
      title: "outcome",
      words: SEVERITY.filter((outcome) => outcome !== "passed" && has((counts) => counts.outcomes, outcome)),
    },
    {
      title: "cause",
      words: (Object.keys(CAUSES) as (keyof typeof CAUSES)[])
        .filter((cause) => has((counts) => counts.causes, cause))
        .map((cause) => `cause:${cause}`),
    },
    {
      title: "environment",
      words:
        environments.length > 1
          ? ["differs", ...(environments.length > FEW ? [] : environments.map((each) => `in:${quotedWord(each.name)}`))]
          : [],
    },
    { title: "change", words: kinds },
  ].filter((group) => group.words.length);
}

export function QueryBox({ model, selection }: { model: Model; selection: Selection }) {
  const input = useRef<HTMLInputElement>(null);
  const { query } = place.value;
  const words = new Set(wordsOf(query));
  const write = (text: string) => go({ query: text }, { replace: true });
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.select();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  const offered = useMemo(() => chips(model), [model]);
  const { error } = selection;
  return (
    <search class="query">
      <label class="query-field">
        <span class="visually-hidden">Query</span>
        <input
          ref={input}
          type="search"
          value={query}
          placeholder="failed in:staging cause:logic"
          autocomplete="off"
          spellcheck={false}
          aria-invalid={error !== null}
          aria-describedby="query-result"
          onInput={(event) => write(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" && event.key !== "Escape" && event.key !== "ArrowDown") return;
            event.preventDefault();
            event.stopPropagation();
            document.getElementById("cells")?.focus();
          }}
        />
        <kbd aria-hidden="true">/</kbd>
      </label>
      <p id="query-result" class={error ? "query-error" : "note"} aria-live="polite">
        {error ? (
          <>
            <code>
              {query.slice(0, error.at)}
              <mark>{query.slice(error.at) || " "}</mark>
            </code>{" "}
            {error.message}
          </>
        ) : (
          `${selection.rows.length.toLocaleString("en")} of ${model.tests.toLocaleString("en")} tests`
        )}
      </p>
      <div class="chips">
        {offered.map((group) => (
          <div key={group.title} role="group" aria-label={group.title}>
            {group.words.map((word) => (
              <button
                type="button"
                class="chip"
                key={word}
                aria-pressed={words.has(word)}
                onClick={() => write(toggled(query, word))}
              >
                {word}
              </button>
            ))}
          </div>
        ))}
      </div>
    </search>
  );
}
