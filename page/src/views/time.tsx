/** Services starting and tests running on one time line, the slowest tests, and what services used. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { barAt, lanes, slowest, ticks } from "../lanes";
import type { Bar, Lane } from "../lanes";
import { chunk } from "../load";
import type { Model } from "../model";
import { colourOf, onResizeOrTheme } from "../paint";
import { openCell, OutcomeWord, Section, LongName } from "../parts";
import type { Time as TimeChunk } from "../schema";
import { duration, OUTCOMES } from "../words";
import { Resources } from "./resources";

const LANE = 18;
const SLOWEST = 20;

interface Span {
  from: number;
  to: number;
}

export function Time({ model }: { model: Model }) {
  const [time, setTime] = useState<TimeChunk | null>();
  useEffect(() => void chunk<TimeChunk>("time").then(setTime), []);
  const all = useMemo(
    () => model.page.environments.map((_, index) => lanes(model, index, time ?? null)),
    [model, time],
  );
  const whole = useMemo<Span>(() => {
    let [from, to] = [0, 1];
    for (const bar of all.flat().flatMap((lane) => lane.bars))
      [from, to] = [Math.min(from, bar.from), Math.max(to, bar.to)];
    return { from, to };
  }, [all]);
  const [zoom, setZoom] = useState<Span | null>(null);
  const span = zoom ?? whole;
  const [told, setTold] = useState("");
  const isKnown = all.some((each) => each.length);
  return (
    <div class="time">
      <h1 class="visually-hidden">Time</h1>
      <Section
        title="Time line"
        note={
          isKnown
            ? "Services starting, then tests by worker, from each run's start. Drag to look closer."
            : "The runs hold no times of tests."
        }
      >
        {isKnown && (
          <>
            <div class="time-line">
              {model.page.environments.map((environment, index) => (
                <div key={environment.name} class="lanes">
                  <h3>{environment.label}</h3>
                  {all[index]?.length ? (
                    all[index]?.map((lane) => (
                      <LaneRow
                        key={lane.title}
                        lane={lane}
                        span={span}
                        words={(bar) => barWords(model, environment.label, lane, bar)}
                        tell={setTold}
                        zoom={setZoom}
                        open={(bar) => bar.row >= 0 && openCell(model.test(bar.row), environment.name)}
                      />
                    ))
                  ) : (
                    <p class="note">no times</p>
                  )}
                </div>
              ))}
              <Axis span={span} />
            </div>
            <p class="status-line">
              <span class="told">{told}</span>
              {zoom && (
                <button type="button" class="button" onClick={() => setZoom(null)}>
                  Whole run
                </button>
              )}
            </p>
          </>
        )}
      </Section>
      <Slowest model={model} />
      {time && <Resources model={model} time={time} />}
    </div>
  );
}

function barWords(model: Model, label: string, lane: Lane, bar: Bar): string {
  const took = `${duration(bar.to - bar.from)}, from ${duration(bar.from)}`;
  if (bar.outcome === "service") return `${lane.title} starting in ${label} · ${took}`;
  return `${model.test(bar.row)} · ${label} · ${OUTCOMES[bar.outcome].word} · ${took}`;
}

function Axis({ span }: { span: Span }) {
  const at = (moment: number) => `${((moment - span.from) / (span.to - span.from)) * 100}%`;
  return (
    <div class="axis" aria-hidden="true">
      {ticks(span.from, span.to, 6).map((tick) => (
        <span key={tick} style={{ left: at(tick) }}>
          {duration(tick)}
        </span>
      ))}
    </div>
  );
}

interface LaneProps {
  lane: Lane;
  span: Span;
  words: (bar: Bar) => string;
  tell: (text: string) => void;
  zoom: (span: Span) => void;
  open: (bar: Bar) => void;
}

function LaneRow({ lane, span, words, tell, zoom, open }: LaneProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [dragged, setDragged] = useState<Span | null>(null);
  useLayoutEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const paint = () => draw(element, lane, span);
    paint();
    return onResizeOrTheme(element, paint);
  }, [lane, span]);
  const momentAt = (event: PointerEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    return box ? span.from + ((event.clientX - box.left) / box.width) * (span.to - span.from) : 0;
  };
  const pixel = (span.to - span.from) / (canvas.current?.clientWidth || 1);
  const found = (event: PointerEvent) => barAt(lane, momentAt(event), 3 * pixel);
  const share = (moment: number) => `${((moment - span.from) / (span.to - span.from)) * 100}%`;
  return (
    <div class="lane">
      <span class="lane-title" title={lane.title}>
        {lane.title}
      </span>
      <div class="lane-bars">
        <canvas
          ref={canvas}
          height={LANE}
          role="img"
          aria-label={`${lane.title}: ${lane.bars.length === 1 ? "1 bar" : `${lane.bars.length} bars`}`}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            setDragged({ from: momentAt(event), to: momentAt(event) });
          }}
          onPointerMove={(event) => {
            if (dragged) setDragged({ ...dragged, to: momentAt(event) });
            const bar = found(event);
            tell(bar ? words(bar) : "");
          }}
          onPointerUp={(event) => {
            setDragged(null);
            if (!dragged) return;
            const [from, to] = [Math.min(dragged.from, dragged.to), Math.max(dragged.from, dragged.to)];
            const bar = found(event);
            if (to - from > 6 * pixel) zoom({ from: Math.max(0, from), to });
            else if (bar) open(bar);
          }}
          onPointerLeave={() => tell("")}
        />
        {dragged && (
          <i
            class="dragged"
            style={{
              left: share(Math.min(dragged.from, dragged.to)),
              right: `calc(100% - ${share(Math.max(dragged.from, dragged.to))})`,
            }}
          />
        )}
      </div>
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, lane: Lane, span: Span): void {
  const width = canvas.clientWidth;
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = LANE * scale;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(scale, scale);
  const x = (moment: number) => ((moment - span.from) / (span.to - span.from)) * width;
  const colours = new Map<string, string>();
  const colour = (outcome: string) => {
    const known = colours.get(outcome) ?? colourOf(`ink-${outcome}`);
    colours.set(outcome, known);
    return known;
  };
  for (const bar of lane.bars) {
    const [left, right] = [x(bar.from), x(bar.to)];
    if (right < 0 || left > width) continue;
    const gap = right - left > 3 ? 1 : 0;
    context.fillStyle = colour(bar.outcome);
    context.fillRect(left, 2, Math.max(1, right - left - gap), LANE - 4);
  }
}

function Slowest({ model }: { model: Model }) {
  const found = useMemo(() => slowest(model, SLOWEST), [model]);
  if (!found.length) return null;
  const longest = found[0]?.duration ?? 1;
  return (
    <Section title="The slowest">
      <div class="scroll" tabIndex={0} role="region" aria-label="The slowest tests">
        <table class="slowest">
          <thead>
            <tr>
              <th scope="col">Test</th>
              <th scope="col">Environment</th>
              <th scope="col">Outcome</th>
              <th scope="col" class="number">
                Took
              </th>
              <th scope="col" class="share">
                <span class="visually-hidden">Beside the slowest</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.map(({ row, environment, duration: took }) => {
              const cell = model.cell(row, environment);
              const { name = "", label = "" } = model.page.environments[environment] ?? {};
              return (
                <tr key={`${row} ${environment}`}>
                  <th scope="row">
                    <button type="button" class="plain test-name" onClick={() => openCell(model.test(row), name)}>
                      <LongName name={model.test(row)} />
                    </button>
                  </th>
                  <td>{label}</td>
                  <td>
                    <OutcomeWord outcome={cell?.outcome} cause={cell?.cause ?? ""} />
                  </td>
                  <td class="number">{duration(took)}</td>
                  <td class="share">
                    <i style={{ width: `${(took / longest) * 100}%` }} />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Section>
  );
}
