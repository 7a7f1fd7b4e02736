/** Small pieces that several views show. */
import { Fragment } from "preact";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Counts } from "./model";
import { go, linkTo } from "./place";
import type { Place } from "./place";
import type { Answer, Cause, Environment, Outcome } from "./schema";
import { ANSWERS, CAUSES, OUTCOMES, SEVERITY } from "./words";

function Icon({ path }: { path: string }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

/** An outcome as the matrix shows it: colour, shape and the cause's letter. */
export function Tile({ outcome, cause }: { outcome: Outcome | undefined; cause?: Cause | "" | undefined }) {
  if (!outcome) return <span class="tile none">·</span>;
  return (
    <span class={`tile ${outcome}`}>
      <Icon path={OUTCOMES[outcome].icon} />
      {cause && <b>{CAUSES[cause].letter}</b>}
    </span>
  );
}

export function OutcomeWord({ outcome, cause }: { outcome: Outcome | null | undefined; cause?: Cause | "" | null }) {
  return (
    <span class="outcome-word">
      <Tile outcome={outcome ?? undefined} cause={cause ?? ""} />
      {outcome ? OUTCOMES[outcome].word : "not planned"}
    </span>
  );
}

export function AnswerBadge({ answer }: { answer: Answer }) {
  return (
    <span class={`answer ${answer}`}>
      <Icon path={ANSWERS[answer].icon} />
      {answer}
    </span>
  );
}

export function CauseTag({ cause }: { cause: Cause }) {
  return (
    <span class={`cause ${cause}`}>
      <b aria-hidden="true">{CAUSES[cause].letter}</b>
      {cause}
    </span>
  );
}

/** The outcomes of an environment as one bar, and in words for those who do not see it. */
export function OutcomeBar({ counts }: { counts: Counts }) {
  const shown = SEVERITY.filter((outcome) => counts.outcomes[outcome]);
  const words = shown.map((outcome) => `${counts.outcomes[outcome]} ${OUTCOMES[outcome].word}`).join(", ");
  return (
    <div class="bar" role="img" aria-label={words || "no tests"} title={words}>
      {shown.map((outcome) => (
        <i class={outcome} style={{ flexGrow: counts.outcomes[outcome] ?? 0 }} />
      ))}
    </div>
  );
}

/** A source as a label; what only stands in for a service says so. */
export function SourceTag({ source }: { source: string }) {
  return (
    <span class={source === "stub" ? "source stand-in" : "source"}>
      {source === "stub" ? "stub: a stand-in" : source}
    </span>
  );
}

export function Link({
  to,
  children,
  ...rest
}: {
  to: Partial<Place>;
  children: ComponentChildren;
  class?: string;
  title?: string;
}) {
  return (
    <a href={linkTo(to)} {...rest}>
      {children}
    </a>
  );
}

export function CopyButton({ text, children }: { text: () => string; children: ComponentChildren }) {
  const [state, setState] = useState<"" | "copied" | "copy it by hand">("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      setState("copied");
    } catch {
      setState("copy it by hand"); // an old browser, or one that gives pages from disk no clipboard
    }
    setTimeout(() => setState(""), 2000);
  };
  return (
    <button type="button" class="button" onClick={copy}>
      <span aria-live="polite">{state || children}</span>
    </button>
  );
}

export function openCell(test: string, environment: string): void {
  go({ test, environment });
}

/** A node id or another long name, that breaks where its parts meet. */
export function LongName({ name }: { name: string }) {
  return (
    <>
      {name.split(/(?<=::|[/[_+-])/).map((part, index) => (
        <Fragment key={index}>
          {index > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}

/** The first tests of a list, each opening its cell, and how many more there are. */
export function Tests({
  tests,
  environment,
  most = 8,
}: {
  tests: readonly string[];
  environment: string;
  most?: number;
}) {
  const [shown, more] = useFirst(tests, most);
  return (
    <ul class="tests">
      {shown.map((test) => (
        <li key={test}>
          <button type="button" class="plain test-name" title={test} onClick={() => openCell(test, environment)}>
            <LongName name={test} />
          </button>
        </li>
      ))}
      {more && <li>{more}</li>}
    </ul>
  );
}

/** Return the first of many, and a button that shows more; null where these are all. */
export function useFirst<T>(items: readonly T[], first: number): [readonly T[], preact.JSX.Element | null] {
  const [number, setNumber] = useState(first);
  const rest = items.length - number;
  const more = rest > 0 && (
    <button type="button" class="plain more" onClick={() => setNumber(number + 100)}>
      {rest.toLocaleString("en")} more
    </button>
  );
  return [items.slice(0, number), more || null];
}

/** The head of a table with a column for each environment, between others. */
export function EnvironmentsHead({
  first,
  environments,
  last,
  class: name,
}: {
  first: string;
  environments: readonly Environment[];
  last?: string;
  class?: string;
}) {
  return (
    <thead>
      <tr>
        <th scope="col">{first}</th>
        {environments.map((each) => (
          <th scope="col" key={each.name} class={name}>
            {each.label}
          </th>
        ))}
        {last && <th scope="col">{last}</th>}
      </tr>
    </thead>
  );
}

export function Section({
  title,
  note,
  children,
}: {
  title: string;
  note?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section>
      <h2>{title}</h2>
      {note && <p class="note">{note}</p>}
      {children}
    </section>
  );
}
