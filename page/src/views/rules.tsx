/** Rules: a name opens what it means and what to do, in a box above the page. */
import type { Model } from "../model";
import { CauseTag } from "../parts";
import { CAUSES } from "../words";

/** The name of a rule, or its code alone. */
export function RuleName({ model, code, isShort = false }: { model: Model; code: string; isShort?: boolean }) {
  const rule = model.page.rules[code];
  if (!rule) return <code>{code}</code>;
  return (
    <button type="button" class="plain rule" popovertarget={`rule-${code}`} title={isShort ? rule.title : undefined}>
      <code>{code}</code> {!isShort && rule.title}
    </button>
  );
}

/** What the names of rules open. */
export function Rules({ model }: { model: Model }) {
  return (
    <>
      {Object.entries(model.page.rules).map(([code, rule]) => (
        <div key={code} id={`rule-${code}`} popover="auto" class="rule-box" role="dialog" aria-label={`Rule ${code}`}>
          <h2>
            <code>{code}</code> {rule.title}
          </h2>
          {rule.cause && (
            <p>
              <CauseTag cause={rule.cause} /> <span class="note">{CAUSES[rule.cause].blame}</span>
            </p>
          )}
          {rule.meaning !== rule.title && <p>{rule.meaning}</p>}
          {rule.remedy && (
            <p class="remedy">
              <b>Next</b> {rule.remedy}
            </p>
          )}
          <p class="note">More in {rule.page}</p>
          <button type="button" class="button" popovertarget={`rule-${code}`} popovertargetaction="hide">
            Close
          </button>
        </div>
      ))}
    </>
  );
}
