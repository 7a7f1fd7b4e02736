/** Tests and services as bars on a time line. */
import type { Model } from "./model";
import type { Outcome, Time } from "./schema";

export interface Bar {
  from: number;
  to: number;
  outcome: Outcome | "service";
  /** -1 for a service. */
  row: number;
}

export interface Lane {
  title: string;
  bars: Bar[];
}

/** Return the lanes of one environment: a service each that started, then a worker each. */
export function lanes(model: Model, environment: number, time: Time | null): Lane[] {
  const column = model.grid.columns[environment];
  const services = time?.environments[environment]?.services ?? [];
  const result = services.map((service): Lane => {
    return { title: service.name, bars: [{ from: service.began, to: service.ready, outcome: "service", row: -1 }] };
  });
  if (!column?.began.length) return result;
  const workers = new Map<number, Lane>();
  column.began.forEach((from, row) => {
    const outcome = model.outcome(row, environment);
    if (from < 0 || !outcome) return;
    const worker = column.worker[row] ?? -1;
    let lane = workers.get(worker);
    if (!lane) workers.set(worker, (lane = { title: model.grid.workers[worker] ?? "tests", bars: [] }));
    lane.bars.push({ from, to: from + (column.durations[row] ?? 0), outcome, row });
  });
  const byTitle = [...workers.values()].sort((a, b) => a.title.localeCompare(b.title, "en", { numeric: true }));
  for (const lane of byTitle) lane.bars.sort((a, b) => a.from - b.from);
  return [...result, ...byTitle];
}

/** Return the bar of a lane at a moment; one within the given distance where none is right there. */
export function barAt(lane: Lane, moment: number, near: number): Bar | undefined {
  const distance = (bar: Bar) => Math.max(bar.from - moment, moment - bar.to, 0);
  let best: Bar | undefined;
  for (const bar of lane.bars) if (distance(bar) <= near && (!best || distance(bar) < distance(best))) best = bar;
  return best;
}

/** Return the rows that took longest in any environment, the longest first. */
export function slowest(model: Model, most: number): { row: number; environment: number; duration: number }[] {
  const all = model.grid.columns.flatMap((column, environment) =>
    column.durations.map((duration, row) => ({ row, environment, duration })),
  );
  return all
    .filter((each) => each.duration > 0)
    .sort((a, b) => b.duration - a.duration)
    .slice(0, most);
}

/** Return steps of a round length for an axis, about as many as asked for. */
export function ticks(from: number, to: number, about: number): number[] {
  const raw = (to - from) / Math.max(1, about);
  if (!(raw > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10) * power;
  const result: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) result.push(at);
  return result;
}
