/** The services of all environments side by side, and every difference between environments. */
import type { Model } from "../model";
import { EnvironmentsHead, Section, SourceTag } from "../parts";
import type { Difference, Environment, Service } from "../schema";
import { duration, plural } from "../words";

export function Services({ model }: { model: Model }) {
  const { environments, differences } = model.page;
  const names = [...new Set(environments.flatMap((each) => each.services.map((service) => service.name)))];
  if (!names.length) return null;
  return (
    <Section
      title="Services"
      note="Side by side; a marked value is one in which an environment differs from the others"
    >
      <div class="scroll" tabIndex={0} role="region" aria-label="Services">
        <table class="services">
          <EnvironmentsHead first="Service" environments={environments} />
          <tbody>
            {names.map((name) => {
              const across = environments.map((each) => each.services.find((service) => service.name === name));
              return (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  {environments.map((environment, index) => (
                    <td key={environment.name}>
                      <ServiceCell service={across[index]} across={across} environment={environment} />
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {differences.length > 0 && <Differences model={model} differences={differences} />}
    </Section>
  );
}

function Marked({ value, others, children }: { value: string; others: readonly string[]; children?: string }) {
  const differs = value !== "" && others.some((other) => other !== "" && other !== value);
  return differs ? (
    <mark title="differs between environments">{children ?? value}</mark>
  ) : (
    <span>{children ?? value}</span>
  );
}

interface CellProps {
  service: Service | undefined;
  across: readonly (Service | undefined)[];
  environment: Environment;
}

/** What is known of a service in one environment; of what it says it is, only what is not expected. */
function ServiceCell({ service, across, environment }: CellProps) {
  if (!service) return <span class="zero">not declared</span>;
  const expected: Record<string, string> = {
    service: service.name,
    environment: environment.name,
    version: service.version,
    commit: environment.commit ?? "",
  };
  const claims = Object.entries(service.identity).filter(([name, value]) => value && !expected[name]?.includes(value));
  return (
    <div class="service">
      <p>
        {service.source !== "absent" && (
          <span class={`status ${service.status || "unseen"}`}>
            {service.status || "not looked at"}
            {service.status === "up" && service.latency !== null && ` in ${duration(service.latency)}`}
          </span>
        )}
        <SourceTag source={service.source} />
      </p>
      {service.down > 0 && (
        <p>
          <span class="status down">down after {plural(service.down, "failed test")}</span>
        </p>
      )}
      {service.version && (
        <p>
          version <Marked value={service.version} others={across.map((each) => each?.version ?? "")} />
        </p>
      )}
      {claims.map(([name, value]) => (
        <p key={name}>
          {name}{" "}
          <Marked value={value} others={name === "environment" ? [] : across.map((each) => each?.identity[name] ?? "")}>
            {name === "commit" ? value.slice(0, 12) : value}
          </Marked>
        </p>
      ))}
      {environment.unexercised.includes(service.name) && <p class="unexercised">no passed test used it</p>}
    </div>
  );
}

/** Those that some test's result goes with; of the rest, most are how environments are meant to differ. */
function Differences({ model, differences }: { model: Model; differences: readonly Difference[] }) {
  const matter = differences.filter((each) => each.correlations.length);
  const rest = differences.filter((each) => !each.correlations.length);
  return (
    <>
      {matter.length > 0 && (
        <>
          <h3>Differences that go with results of tests</h3>
          <DifferenceTable model={model} differences={matter} />
        </>
      )}
      {rest.length > 0 && (
        <details class="differences">
          <summary>
            {plural(rest.length, matter.length ? "other difference" : "difference")} between environments
            {!matter.length && <span class="note">, no test's result goes with one</span>}
          </summary>
          <DifferenceTable model={model} differences={rest} />
        </details>
      )}
    </>
  );
}

function DifferenceTable({ model, differences }: { model: Model; differences: readonly Difference[] }) {
  const correlated = differences.some((each) => each.correlations.length);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Differences between environments">
      <table>
        <EnvironmentsHead
          first="What"
          environments={model.page.environments}
          {...(correlated && { last: "Goes with" })}
        />
        <tbody>
          {differences.map((difference, index) => (
            <tr key={index}>
              <th scope="row">
                {difference.service} {difference.aspect} {difference.name}
              </th>
              {difference.values.map((value, environment) => (
                <td key={environment} class={value === null ? "zero" : ""}>
                  {value ?? "–"}
                </td>
              ))}
              {correlated && <td>{difference.correlations.join("; ")}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
