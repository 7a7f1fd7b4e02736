/** What the checks of contracts and the collection of tests found wrong: each finding once, whatever the environments. */
import type { Model } from "../model";
import { Section, useFirst } from "../parts";
import type { Finding } from "../schema";
import { named } from "../words";
import { RuleName } from "./rules";

const FIRST = 4;

interface Found {
  environments: readonly number[];
  findings: readonly Finding[];
}

export function Findings({ model }: { model: Model }) {
  const found = model.page.environments.map(({ findings }, index) => ({ environments: [index], findings }));
  if (!found.some((each) => each.findings.length)) return null;
  return (
    <Section title="Findings" note="What the contract's checks, and the collection of tests, found wrong">
      <FindingList model={model} found={found} everywhere={found.length} />
    </Section>
  );
}

/** The first findings, the rest folded; one that fewer environments have than `everywhere` says which do. */
export function FindingList({
  model,
  found,
  everywhere,
}: {
  model: Model;
  found: readonly Found[];
  everywhere: number;
}) {
  const all = found.flatMap(({ environments, findings }) => findings.map((finding) => ({ environments, finding })));
  const grouped = Map.groupBy(all, ({ finding }) => JSON.stringify([finding.rule, finding.message]));
  const [shown, more] = useFirst([...grouped.values()], FIRST);
  if (!grouped.size) return null;
  return (
    <>
      <ul class="findings">
        {shown.map((same, index) => {
          const environments = same.flatMap((each) => each.environments);
          const places = [...new Set(same.map(({ finding }) => finding.place))].filter(Boolean);
          const hint = same[0]?.finding.hint;
          return (
            <li key={index}>
              <p>
                <RuleName model={model} code={same[0]?.finding.rule ?? ""} isShort />{" "}
                <span>{same[0]?.finding.message}</span>
              </p>
              <p class="note">
                {environments.length < everywhere && (
                  <>in {named(environments.flatMap((each) => model.page.environments[each] ?? []))} </>
                )}
                <span class="place">{places.slice(0, 3).join(", ")}</span>
              </p>
              {hint && (
                <p class="remedy">
                  <b>Next</b> {hint}
                </p>
              )}
            </li>
          );
        })}
      </ul>
      {more && <p class="rest">{more}</p>}
    </>
  );
}
