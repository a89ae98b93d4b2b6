// The charts, drawn by Vega; a brush in one of them picks trials.

let charts = [];

// Vega marks the rows that it reads as its own, so each view gets new ones.
function rows(chart, keep) {
  const names = Object.keys(chart.columns);
  const length = names.length ? chart.columns[names[0]].length : 0;
  const trials = chart.columns.trial;
  const found = [];
  for (let i = 0; i < length; i += 1) {
    if (keep && !keep(trials ? trials[i] : null)) continue;
    const row = {};
    for (const name of names) row[name] = chart.columns[name][i];
    found.push(row);
  }
  return found;
}

function pickedRows(chart) {
  return picked.size ? rows(chart, (trial) => picked.has(trial)) : [];
}

function draw(chart) {
  const element = find(chart.id);
  if (chart.view) chart.view.finalize();
  chart.element = element;
  element.style.height = element.offsetHeight ? `${element.offsetHeight}px` : "";
  element.textContent = "";
  const spec = { ...coloured(chart.spec), config: config() };
  spec.datasets = { ...spec.datasets, all: rows(chart), picked: pickedRows(chart) };
  const compiled = vegaLite.compile(spec, { logger: quietly }).spec;
  const runtime = vega.parse(compiled, null, { ast: true });
  const view = new vega.View(runtime, {
    expr: vegaInterpreter.expressionInterpreter, loader: nowhere, logger: quietly,
    renderer: printing ? "svg" : chart.renderer, container: element, hover: false,
  });
  chart.view = view;
  if (hasSignal(view, "fade")) view.signal("fade", picked.size > 0);
  view.addEventListener("click", (event, item) => {
    const trial = item && item.datum && item.datum.trial;
    if (typeof trial === "number") toggle(trial, several(event));
  });
  view.addEventListener("pointermove", (event, item) => point(event, item));
  view.addEventListener("pointerout", () => { find("tip").hidden = true; });
  view.run();
  listenToKeys(chart);
  // Not before: the first run would be taken for an empty brush, and clear what is picked.
  if (chart.brushes.length) listenToBrush(chart);
  return view.runAsync().then(() => { element.style.height = ""; });
}

// Errors are shown; what Vega-Lite only remarks on is not.
const quietly = {
  level() { return this; }, info() { return this; }, debug() { return this; },
  warn() { return this; },
  error(...words) { console.error(...words); return this; },
};

const nowhere = {
  load: () => Promise.reject(new Error("This page loads nothing.")),
  sanitize: () => Promise.reject(new Error("This page loads nothing.")),
  http: () => Promise.reject(new Error("This page loads nothing.")),
  file: () => Promise.reject(new Error("This page loads nothing.")),
};

function hasSignal(view, name) {
  try { view.signal(name); return true; } catch { return false; }
}

function showPicked(chart) {
  if (!chart.view || !chart.columns.trial) return;
  const changes = vega.changeset().remove(() => true).insert(pickedRows(chart));
  chart.view.change("picked", changes);
  if (hasSignal(chart.view, "fade")) chart.view.signal("fade", picked.size > 0);
  chart.view.run();
}

function listenToBrush(chart) {
  let waiting = false;
  chart.view.addSignalListener("brush", (_, extents) => {
    if (chart.quiet || waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (chart.view) pick(inside(chart, chart.view.signal("brush") || {}), chart);
    });
  });
}

function inside(chart, extents) {
  const names = chart.brushes.filter((name) => extents[name]);
  if (names.length < chart.brushes.length) return [];
  const found = new Set();
  chart.columns.trial.forEach((trial, i) => {
    const within = names.every((name) => {
      const value = chart.columns[name][i];
      const [a, b] = extents[name];
      return value !== null && value >= Math.min(a, b) && value <= Math.max(a, b);
    });
    if (within) found.add(trial);
  });
  return found;
}

function clearBrush(chart) {
  if (!chart.view || !chart.brushes.length) return;
  const extents = chart.view.signal("brush");
  if (!extents || !Object.keys(extents).length) return;
  chart.quiet = true;
  chart.view.signal("brush_x", [0, 0]).signal("brush_y", [0, 0]).run();
  chart.quiet = false;
}
