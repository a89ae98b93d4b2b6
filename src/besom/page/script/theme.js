// Light and dark, as the reader or the system wants it; on paper always light.

const root = document.documentElement;
const find = (id) => document.getElementById(id);
root.classList.add("js");

const dark = window.matchMedia("(prefers-color-scheme: dark)");
let printing = false;

function colour(name) {
  return getComputedStyle(root).getPropertyValue(`--${name}`).trim();
}

// A specification with the theme's colours in place of its variables.
function coloured(node) {
  if (typeof node === "string") {
    return node.replace(/^var\(--([\w-]+)\)$/, (_, name) => colour(name));
  }
  if (Array.isArray(node)) return node.map(coloured);
  if (node && typeof node === "object") {
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, coloured(value)]));
  }
  return node;
}

function config() {
  return {
    background: null,
    font: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
    view: { stroke: null },
    axis: {
      labelColor: colour("muted"), titleColor: colour("muted"), gridColor: colour("line"),
      domainColor: colour("faint"), tickColor: colour("faint"), titleFontWeight: "normal",
      titleFontSize: 12, labelFontSize: 11, labelLimit: 120,
    },
    mark: { tooltip: null },
  };
}

function isDark() {
  const chosen = root.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

function labelTheme() {
  find("theme").textContent = isDark() ? "Light" : "Dark";
}

find("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  labelTheme();
  drawAll();
});
dark.addEventListener("change", () => {
  labelTheme();
  if (!printing) drawAll();
});

// Paper is light, and what is folded is printed too.
let folded = [];
window.addEventListener("beforeprint", () => {
  printing = true;
  folded = [...document.querySelectorAll("main details:not([open])")];
  folded.forEach((details) => { if (details.id !== "columns") details.open = true; });
  drawAll();
});
window.addEventListener("afterprint", () => {
  printing = false;
  folded.forEach((details) => { details.open = false; });
  drawAll();
});
