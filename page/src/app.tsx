/** The page's frame: the head, the view, the panel of the open cell. */
import { useEffect, useState } from "preact/hooks";
import type { Model } from "./model";
import { Link } from "./parts";
import { go, place } from "./place";
import type { View } from "./place";
import { CellPanel } from "./views/cell";
import { Compare } from "./views/changes";
import { Matrix } from "./views/matrix";
import { Overview } from "./views/overview";
import { Rules } from "./views/rules";
import { Time } from "./views/time";

const VIEWS: Record<View, { title: string; component: (props: { model: Model }) => preact.JSX.Element | null }> = {
  overview: { title: "Overview", component: Overview },
  matrix: { title: "Matrix", component: Matrix },
  time: { title: "Time", component: Time },
  compare: { title: "Compare", component: Compare },
};

export function App({ model }: { model: Model }) {
  const { view, test, environment } = place.value;
  const { component: Shown } = VIEWS[view];
  useEffect(() => {
    const close = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !place.peek().test || document.querySelector(":popover-open")) return;
      go({ test: "", environment: "" });
      document.getElementById("cells")?.focus();
    };
    addEventListener("keydown", close);
    return () => removeEventListener("keydown", close);
  }, []);
  useEffect(() => scrollTo(0, 0), [view]);
  const views = Object.entries(VIEWS).filter(([name]) => name !== "compare" || model.page.against);
  return (
    <>
      <header class="top">
        <p class="title">
          <b>envmatrix</b> <span>{model.page.title}</span>
        </p>
        <nav aria-label="Views">
          {views.map(([name, { title }]) => (
            <Link key={name} to={{ view: name as View }} class={name === view ? "tab here" : "tab"}>
              {title}
            </Link>
          ))}
        </nav>
        <Theme />
      </header>
      <div class={test ? "body with-panel" : "body"}>
        <main class={view}>
          <Shown model={model} />
        </main>
        {test && <CellPanel model={model} test={test} environment={environment} />}
      </div>
      <Rules model={model} />
    </>
  );
}

type Choice = "" | "light" | "dark";
const NEXT: Record<Choice, Choice> = { "": "light", light: "dark", dark: "" };

function remembered(): Choice {
  try {
    const kept = localStorage.getItem("envmatrix-theme");
    return kept === "light" || kept === "dark" ? kept : "";
  } catch {
    return ""; // a browser may keep nothing for pages from disk
  }
}

function Theme() {
  const [choice, setChoice] = useState<Choice>(remembered);
  useEffect(() => {
    document.documentElement.dataset["theme"] = choice;
    try {
      localStorage.setItem("envmatrix-theme", choice);
    } catch {
      // the choice holds for this visit
    }
  }, [choice]);
  return (
    <button type="button" class="button theme" onClick={() => setChoice(NEXT[choice])}>
      {choice || "system"} <span class="visually-hidden">colours: change</span>
    </button>
  );
}
