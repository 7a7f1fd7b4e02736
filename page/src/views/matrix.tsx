/** The matrix: groups and tests by environments. */
import { signal } from "@preact/signals";
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { columnOrder, lines, select } from "../lines";
import type { Line } from "../lines";
import type { Model } from "../model";
import { go, place } from "../place";
import { MatrixRow } from "./matrix_row";
import { QueryBox } from "./query_box";
import { StatusLine } from "./status_line";
import type { Pointed } from "./status_line";

const ROW = 28;
/** Lines of a fingerprint above a column; the overview has all. */
const TRAITS = 20;
const OVERSCAN = 6;
const WIDE = 6;
const PRINTED = 2000;

/** The cell that the pointer is on, or the keyboard: what the line below the matrix tells about. */
const pointed = signal<Pointed | null>(null);
const printing = signal(false);
addEventListener("beforeprint", () => (printing.value = true));
addEventListener("afterprint", () => (printing.value = false));

interface Active {
  /** -1 is the header. */
  line: number;
  /** 0 is the name. */
  column: number;
}

export function Matrix({ model }: { model: Model }) {
  const here = place.value;
  const selection = useMemo(() => select(model, here.query), [model, here.query]);
  const shown = useMemo(
    () => lines(model, selection.rows, here),
    [model, selection, here.rows, here.fold, here.query, here.flipped.join("\n")],
  );
  const columns = useMemo(() => columnOrder(model, here.columns), [model, here.columns]);
  return (
    <div class="matrix">
      <h1 class="visually-hidden">Matrix</h1>
      <QueryBox model={model} selection={selection} />
      <Toolbar model={model} />
      <Cells model={model} shown={shown} columns={columns} />
      <StatusLine model={model} pointed={pointed} />
    </div>
  );
}

function Toolbar({ model }: { model: Model }) {
  const { rows, columns } = place.value;
  return (
    <div class="toolbar">
      <label>
        Rows{" "}
        <select value={rows} onChange={(event) => go({ rows: event.currentTarget.value })}>
          <option value="suite">as in the suite</option>
          <option value="slowest">slowest first</option>
          <option value="name">by name</option>
          {model.page.environments.map((each) => (
            <option key={each.name} value={`in:${each.name}`}>
              worst in {each.label} first
            </option>
          ))}
        </select>
      </label>
      {model.page.environments.length > 1 && (
        <label>
          Columns{" "}
          <select value={columns} onChange={(event) => go({ columns: event.currentTarget.value })}>
            <option value="given">as declared</option>
            <option value="worst">worst first</option>
            <option value="name">by name</option>
          </select>
        </label>
      )}
      {rows === "suite" && (
        <span class="buttons">
          <button type="button" class="button" onClick={() => go({ fold: "all", flipped: [] })}>
            Fold all
          </button>
          <button type="button" class="button" onClick={() => go({ fold: "none", flipped: [] })}>
            Unfold all
          </button>
        </span>
      )}
    </div>
  );
}

function flip(model: Model, line: Line): void {
  if (!("group" in line)) return;
  const file = model.groups[line.group]?.file ?? "";
  const { flipped } = place.peek();
  go(
    { flipped: flipped.includes(file) ? flipped.filter((each) => each !== file) : [...flipped, file] },
    { replace: true },
  );
}

function useVirtualizer(scroller: { current: HTMLDivElement | null }, count: number, header: number) {
  const [, render] = useReducer((times: number, _: null) => times + 1, 0);
  const options = {
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: OVERSCAN,
    paddingStart: header,
    scrollPaddingStart: header,
    initialRect: { width: 0, height: 800 }, // what is painted before the element is measured
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => render(null),
  };
  const [virtualizer] = useState(() => new Virtualizer<HTMLDivElement, Element>(options));
  virtualizer.setOptions(options);
  useLayoutEffect(() => virtualizer._didMount(), []);
  useLayoutEffect(() => virtualizer._willUpdate());
  return virtualizer;
}

function Cells({ model, shown, columns }: { model: Model; shown: readonly Line[]; columns: readonly number[] }) {
  const scroller = useRef<HTMLDivElement>(null);
  const [wanted, setActive] = useState<Active>({ line: 0, column: 1 });
  const active = { ...wanted, line: Math.min(wanted.line, Math.max(0, shown.length - 1)) }; // a query leaves fewer lines
  const narrow = matchMedia("(max-width: 640px)").matches;
  const slim = columns.length > (narrow ? 2 : WIDE);
  const labels = columns.map((index) => model.page.environments[index]?.label ?? "");
  const header = slim ? Math.min(150, 26 + 7 * Math.max(...labels.map((label) => label.length))) : 36;
  const virtualizer = useVirtualizer(scroller, shown.length, header);
  const { test, environment, rows } = place.value;
  const open = test ? { row: model.rowOf(test), environment: model.environmentOf(environment) } : null;
  const at = (target: EventTarget | null): Active | null => {
    const element = target instanceof Element ? target.closest<HTMLElement>("[data-column]") : null;
    return element && { line: Number(element.dataset["line"]), column: Number(element.dataset["column"]) };
  };
  const point = (to: Active | null) => {
    const line = to && shown[to.line];
    const index = to ? columns[to.column - 1] : undefined;
    pointed.value = line ? { line, environment: index } : null;
  };
  const act = (to: Active) => {
    const line = shown[to.line];
    const index = columns[to.column - 1];
    const name = model.page.environments[index ?? columns[0] ?? 0]?.name ?? "";
    if (to.line < 0) go({ rows: index === undefined || rows === `in:${name}` ? "suite" : `in:${name}` });
    else if (line && "row" in line) go({ test: model.test(line.row), environment: name });
    else if (line) flip(model, line);
  };
  const move = (to: Active) => {
    const line = Math.max(-1, Math.min(shown.length - 1, to.line));
    const next = { line, column: Math.max(0, Math.min(columns.length, to.column)) };
    setActive(next);
    point(next);
    if (next.line >= 0) virtualizer.scrollToIndex(next.line);
    document.getElementById(`column-${next.column}`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  const onKey = (event: KeyboardEvent) => {
    const { line, column } = active;
    const current = shown[line];
    const page = Math.max(1, Math.floor(((scroller.current?.clientHeight ?? 0) - header) / ROW) - 1);
    const folds = current && "group" in current && column === 0;
    const moves: Record<string, () => void> = {
      ArrowDown: () => move({ line: line + 1, column }),
      ArrowUp: () => move({ line: line - 1, column }),
      ArrowRight: () => (folds && current.folded ? flip(model, current) : move({ line, column: column + 1 })),
      ArrowLeft: () => (folds && !current.folded ? flip(model, current) : move({ line, column: column - 1 })),
      Home: () => move(event.ctrlKey ? { line: 0, column } : { line, column: 0 }),
      End: () => move(event.ctrlKey ? { line: shown.length - 1, column } : { line, column: columns.length }),
      PageDown: () => move({ line: line + page, column }),
      PageUp: () => move({ line: line - page, column }),
      Enter: () => act(active),
      " ": () => act(active),
    };
    const chosen = moves[event.key];
    if (!chosen) return;
    event.preventDefault();
    chosen();
  };
  useEffect(() => {
    const line = open ? shown.findIndex((each) => "row" in each && each.row === open.row) : -1;
    if (line >= 0 && open) {
      setActive({ line, column: columns.indexOf(open.environment) + 1 });
      virtualizer.scrollToIndex(line);
    }
  }, [test, environment]);
  const items = printing.value
    ? shown.slice(0, PRINTED).map((_, index) => ({ index, start: header + index * ROW }))
    : virtualizer.getVirtualItems();
  const drawn = Math.max(items.length, Math.ceil((scroller.current?.clientHeight ?? 0) / ROW) + 2 * OVERSCAN + 2);
  const isDrawn = active.line < 0 || items.some((item) => item.index === active.line);
  const template = { "--columns": String(columns.length), "--header": `${header}px` } as Record<string, string>;
  return (
    <div
      id="cells"
      class={slim ? "cells slim" : "cells"}
      ref={scroller}
      role="treegrid"
      tabIndex={0}
      aria-label="Tests by environments"
      aria-rowcount={shown.length + 1}
      aria-colcount={columns.length + 1}
      aria-activedescendant={
        isDrawn ? (active.line < 0 ? `column-${active.column}` : `cell-${active.line}-${active.column}`) : undefined
      }
      style={template}
      onKeyDown={onKey}
      onClick={(event) => {
        const to = at(event.target);
        if (!to) return;
        setActive(to);
        act(to);
      }}
      onPointerOver={(event) => point(at(event.target))}
      onPointerLeave={() => point(null)}
      onFocus={() => point(active)}
    >
      <div
        class="all-cells"
        style={{ height: `${printing.value ? header + items.length * ROW : virtualizer.getTotalSize()}px` }}
        role="presentation"
      >
        <div class="row head" role="row" aria-rowindex={1}>
          {["Test", ...labels].map((label, column) => {
            const environment = columns[column - 1] ?? -1;
            const name = model.page.environments[environment]?.name;
            const sorts = name !== undefined && rows === `in:${name}`;
            return (
              <div
                key={column}
                id={`column-${column}`}
                role="columnheader"
                data-line={-1}
                data-column={column}
                title={[label, ...model.fingerprint(environment).slice(0, TRAITS)].join("\n")}
                aria-sort={sorts ? "ascending" : undefined}
                class={active.line === -1 && active.column === column ? "name active" : "name"}
              >
                <span>{label}</span>
              </div>
            );
          })}
        </div>
        {items.map(({ index, start }) => {
          const line = shown[index];
          return (
            line && (
              <MatrixRow
                key={index % drawn} // what leaves the view at one end is drawn anew at the other
                model={model}
                line={line}
                index={index}
                start={start}
                columns={columns}
                active={active.line === index ? active.column : -1}
                open={open && "row" in line && line.row === open.row ? open.environment : -1}
                whole={rows !== "suite"}
              />
            )
          );
        })}
      </div>
      {!shown.length && <p class="empty">No test matches.</p>}
    </div>
  );
}
