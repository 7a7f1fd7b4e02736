import { render } from "preact";
import { App } from "./app";
import { chunk } from "./load";
import { Model } from "./model";
import { followFragment } from "./place";
import type { Grid, Page } from "./schema";
import "./styles/base.css";
import "./styles/overview.css";
import "./styles/matrix.css";
import "./styles/cell.css";
import "./styles/time.css";

async function start(root: HTMLElement): Promise<void> {
  const [page, grid] = await Promise.all([chunk<Page>("page"), chunk<Grid>("grid")]);
  if (!page || !grid) throw new Error("the page holds no data");
  document.title = `envmatrix: ${page.title}`;
  followFragment();
  root.textContent = "";
  const model = new Model(page, grid);
  render(<App model={model} />, root);
}

const root = document.getElementById("app");
if (root)
  start(root).catch((error: unknown) => {
    root.textContent = `This page cannot be shown: ${String(error)}. It needs a browser of 2024 or later.`;
  });
