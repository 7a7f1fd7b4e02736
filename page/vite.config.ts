import { createHash } from "node:crypto";
import { defineConfig } from "vitest/config";
import type { Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

const TEMPLATE = "../test_framework/envmatrix/report/page";

/** Put the script behind the place of the chunks, and name the script and the styles by hash in the policy. */
function policy(): Plugin {
  return {
    name: "policy",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const page = bundle["index.html"];
        if (page?.type !== "asset") return this.error("no index.html was built");
        const whole = String(page.source);
        const script = taken(whole, /<script type="module"[^>]*>([\s\S]*?)<\/script>\s*/);
        const style = taken(script.rest, /<style[^>]*>([\s\S]*?)<\/style>\s*/);
        const csp = [
          "default-src 'none'",
          `script-src ${hash(script.text)}`,
          `style-src ${hash(style.text)}`,
          "img-src data:",
          "base-uri 'none'",
          "form-action 'none'",
          "require-trusted-types-for 'script'",
          "trusted-types 'none'",
        ].join("; ");
        page.source = style.rest
          .replace("%CSP%", () => csp)
          .replace("</head>", () => `<style>${style.text}</style>\n  </head>`)
          .replace(
            /(<!--chunks-->)\s*/,
            (_whole, place: string) => `${place}<script type="module">${script.text}</script>\n  `,
          );
        page.fileName = "page.html";
      },
    },
  };
}

function taken(html: string, pattern: RegExp): { text: string; rest: string } {
  const found = pattern.exec(html);
  if (!found?.[1]) throw new Error(`the page has no ${pattern}`);
  return { text: found[1], rest: html.replace(pattern, () => "") };
}

function hash(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

export default defineConfig({
  plugins: [viteSingleFile(), policy()],
  build: {
    outDir: TEMPLATE,
    emptyOutDir: false,
    target: ["chrome123", "firefox121", "safari17.5"],
    modulePreload: false,
    reportCompressedSize: false,
  },
  test: { include: ["tests/**/*.test.ts"] },
});
