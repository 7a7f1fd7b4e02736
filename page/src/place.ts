/** Where the reader is: everything that a link to a view has to hold, kept in the URL's fragment. */
import { signal } from "@preact/signals";

export type View = "overview" | "matrix" | "time" | "compare";
type Folding = "auto" | "all" | "none";

export interface Place {
  view: View;
  query: string;
  /** `suite`, `slowest`, `name`, or the name of an environment behind `in:`: its worst first. */
  rows: string;
  /** `given`, `worst` or `name`. */
  columns: string;
  fold: Folding;
  /** Groups that are the other way round than `fold` says. */
  flipped: readonly string[];
  /** The open cell: a node id and an environment's name; empty where none is open. */
  test: string;
  environment: string;
}

const VIEWS: readonly string[] = ["overview", "matrix", "time", "compare"];

export const START: Place = {
  view: "overview",
  query: "",
  rows: "suite",
  columns: "given",
  fold: "auto",
  flipped: [],
  test: "",
  environment: "",
};

export function parsePlace(fragment: string): Place {
  const [view = "", search = ""] = fragment.replace(/^#/, "").split(/\?(.*)/s);
  const values = new URLSearchParams(search);
  const fold = values.get("fold");
  return {
    view: VIEWS.includes(view) ? (view as View) : "overview",
    query: values.get("q") ?? "",
    rows: values.get("rows") ?? START.rows,
    columns: values.get("columns") ?? START.columns,
    fold: fold === "all" || fold === "none" ? fold : "auto",
    flipped: values.getAll("flip"),
    test: values.get("test") ?? "",
    environment: values.get("in") ?? "",
  };
}

export function formatPlace(place: Place): string {
  const values = new URLSearchParams();
  if (place.query) values.set("q", place.query);
  if (place.rows !== START.rows) values.set("rows", place.rows);
  if (place.columns !== START.columns) values.set("columns", place.columns);
  if (place.fold !== START.fold) values.set("fold", place.fold);
  for (const file of place.flipped) values.append("flip", file);
  if (place.test && place.environment) {
    values.set("test", place.test);
    values.set("in", place.environment);
  }
  const search = values.toString();
  return `#${place.view}${search && `?${search}`}`;
}

export const place = signal<Place>(START);

/** Follow the fragment, as the back button and links change it. */
export function followFragment(): void {
  const read = () => (place.value = parsePlace(location.hash));
  addEventListener("hashchange", read);
  read();
}

/** Go somewhere; a step that the back button should not stop at is one that replaces. */
export function go(change: Partial<Place>, { replace = false } = {}): void {
  const next = { ...place.peek(), ...change };
  const fragment = formatPlace(next);
  if (fragment !== formatPlace(place.peek())) history[replace ? "replaceState" : "pushState"](null, "", fragment);
  place.value = next;
}

/** Return a link's target: another view starts without an open cell, and keeps the query. */
export function linkTo(change: Partial<Place>): string {
  return formatPlace({ ...place.value, test: "", environment: "", ...change });
}
