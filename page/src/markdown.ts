/** An explanation as Markdown, for a ticket or an assistant. */
import type { Cell, Model } from "./model";
import type { Explanation } from "./schema";
import { duration, OUTCOMES } from "./words";

/** Return a text that no Markdown reads as markup: a fence longer than any that it holds. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text.replace(/\n$/, "")}\n${fence}`;
}

/** Return one line as code. */
function code(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return longest ? `${fence} ${line} ${fence}` : `${fence}${line}${fence}`;
}

export function cellMarkdown(model: Model, cell: Cell, explanation: Explanation | null): string {
  const environment = model.page.environments[cell.environment];
  const test = model.test(cell.row);
  const parts: string[] = [`# ${code(test)} in ${code(environment?.label ?? "")}`];
  const section = (title: string, body: string) => body && parts.push(`## ${title}`, body);
  const list = (items: readonly string[], ordered = false) =>
    items.map((item, index) => `${ordered ? `${index + 1}.` : "-"} ${code(item)}`).join("\n");
  const facts = [
    `outcome: ${OUTCOMES[cell.outcome].word}`,
    cell.cause && `cause: ${cell.cause}`,
    cell.rule && `rule: ${cell.rule} ${model.page.rules[cell.rule]?.title ?? ""}`,
    `took: ${duration(cell.duration)}`,
    environment?.commit && `commit: ${environment.commit}`,
    explanation?.phase && `phase: ${explanation.phase}`,
    explanation?.place && `place: ${explanation.place}`,
  ];
  parts.push(
    facts
      .filter((fact) => fact)
      .map((fact) => `- ${code(fact as string)}`)
      .join("\n"),
  );
  if (cell.text) parts.push(fenced(explanation?.summary || cell.text));
  if (explanation) {
    section("What to do", list(explanation.next, true));
    section("Exceptions, outermost first", list(explanation.exceptions));
    section(
      `Services (${explanation.moments.join(", ")})`,
      list(explanation.services.map((each) => `${each.service} (${each.source}): ${each.before} -> ${each.after}`)),
    );
    section("Last requests", list(explanation.exchanges));
    section(
      "Attempts",
      list(explanation.attempts.map((each) => `${each.outcome} in ${duration(each.duration * 1000)} ${each.why}`)),
    );
    section("The same in other tests", list(explanation.alike.slice(0, 20)));
    for (const [service, log] of Object.entries(explanation.logs))
      section(`End of the log of ${code(service)}`, fenced(log));
    section("The failure as pytest shows it", explanation.detail && fenced(explanation.detail));
  }
  const elsewhere = model.page.environments.flatMap((each, index) => {
    const outcome = model.outcome(cell.row, index);
    return index === cell.environment ? [] : [`${each.label}: ${outcome ? OUTCOMES[outcome].word : "not planned"}`];
  });
  section("In other environments", list(elsewhere));
  const rerun = explanation?.rerun || model.rerun(cell.row, cell.environment);
  section("Run it again", rerun && fenced(rerun));
  return `${parts.join("\n\n")}\n`;
}
