/** What is drawn on a canvas follows the style sheet. */

/** Return the colour that a class of the style sheet gives in the current theme. */
export function colourOf(className: string): string {
  const probe = document.createElement("i");
  probe.className = className;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Call back when an element's width or the theme changes; return what ends that. */
export function onResizeOrTheme(element: HTMLElement, paint: () => void): () => void {
  let width = element.clientWidth;
  const size = new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    paint();
  });
  const theme = new MutationObserver(paint);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  size.observe(element);
  theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  scheme.addEventListener("change", paint);
  return () => {
    size.disconnect();
    theme.disconnect();
    scheme.removeEventListener("change", paint);
  };
}
