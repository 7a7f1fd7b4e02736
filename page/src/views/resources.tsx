/** What services and processes used over time: a chart each environment and metric. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Model } from "../model";
import { colourOf, onResizeOrTheme } from "../paint";
import { Section } from "../parts";
import type { Time } from "../schema";
import { duration } from "../words";

type Series = Time["environments"][number]["series"];

const STROKES = 6;

export function Resources({ model, time }: { model: Model; time: Time }) {
  const sampled = time.environments.flatMap((each, index) =>
    each.series.length || each.growing.length ? [{ ...each, index }] : [],
  );
  if (!sampled.length) return null;
  return (
    <Section title="Resources">
      {sampled.map(({ index, series, growing }) => (
        <div key={index}>
          <h3>{model.page.environments[index]?.label}</h3>
          {growing.length > 0 && (
            <ul class="reasons">
              {growing.map((text) => (
                <li key={text}>{text}</li>
              ))}
            </ul>
          )}
          <div class="charts">
            {[...Map.groupBy(series, (each) => each.metric)].map(([metric, members]) => (
              <Chart key={metric} metric={metric} series={members} />
            ))}
          </div>
        </div>
      ))}
    </Section>
  );
}

/** Return the data as uPlot has it: moments, then a column each, with gaps. */
export function aligned(series: Series): (number | null)[][] {
  const moments = [...new Set(series.flatMap((each) => each.points.map(([at]) => at)))].sort((a, b) => a - b);
  const place = new Map(moments.map((at, index) => [at, index]));
  const columns = series.map((each) => {
    const column = new Array<number | null>(moments.length).fill(null);
    for (const [at, value] of each.points) column[place.get(at) ?? 0] = value;
    return column;
  });
  return [moments, ...columns];
}

const number = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

function options(series: Series, width: number): uPlot.Options {
  const axis: uPlot.Axis = { stroke: colourOf("note"), grid: { stroke: "#8883", width: 1 }, ticks: { show: false } };
  return {
    width,
    height: 160,
    legend: { show: false },
    scales: { x: { time: false } },
    axes: [
      { ...axis, values: (_, values) => values.map((value) => duration(value)) },
      { ...axis, size: 60, values: (_, values) => values.map((value) => number.format(value)) },
    ],
    series: [
      {},
      ...series.map((each, index) => ({
        label: each.of,
        stroke: colourOf(`series-${index % STROKES}`),
        width: 1.5,
        spanGaps: true,
      })),
    ],
  };
}

function Chart({ metric, series }: { metric: string; series: Series }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    let chart: uPlot | undefined;
    const paint = () => {
      chart?.destroy();
      chart = new uPlot(options(series, element.clientWidth), aligned(series) as uPlot.AlignedData, element);
    };
    paint();
    const stop = onResizeOrTheme(element, paint);
    return () => {
      stop();
      chart?.destroy();
    };
  }, [series]);
  const highest = (each: Series[number]) => number.format(Math.max(...each.points.map(([, value]) => value)));
  return (
    <figure class="chart">
      <figcaption>
        <b>{metric}</b>
        {series.map((each, index) => (
          <span key={each.of}>
            <i class={`series-${index % STROKES}`} /> {each.of} <span class="note">at most {highest(each)}</span>
          </span>
        ))}
      </figcaption>
      <div
        ref={place}
        role="img"
        aria-label={`${metric}: ${series.map((each) => `${each.of} at most ${highest(each)}`).join(", ")}`}
      />
    </figure>
  );
}
