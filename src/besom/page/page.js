// The page's own script. It draws the charts with Vega, keeps the set of picked trials, and shows
// it in every chart and in the leaderboard. Whatever comes from a study is set as text, never as
// HTML.
"use strict";
(() => {
  const root = document.documentElement;
  const find = (id) => document.getElementById(id);
  root.classList.add("js");

  // ---------------------------------------------------------------- theme

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

  // ---------------------------------------------------------------- picked trials

  const picked = new Set();

  // Makes `trials` the picked ones; `source` is the chart whose brush chose them, if one did.
  function pick(trials, source) {
    picked.clear();
    for (const trial of trials) picked.add(trial);
    for (const chart of charts) {
      if (chart !== source) clearBrush(chart);
      showPicked(chart);
    }
    showPickedRows();
    const chip = find("picked");
    chip.hidden = picked.size === 0;
    const some = [...picked].slice(0, 8).join(", ") + (picked.size > 8 ? ", …" : "");
    const noun = picked.size === 1 ? "Trial" : `${picked.size} trials:`;
    chip.querySelector("span").textContent = `${noun} ${some}`;
  }

  function toggle(trial, more) {
    if (!more) {
      pick(picked.size === 1 && picked.has(trial) ? [] : [trial]);
      return;
    }
    const next = new Set(picked);
    if (!next.delete(trial)) next.add(trial);
    pick(next);
  }

  function several(event) {
    return event.shiftKey || event.ctrlKey || event.metaKey;
  }

  find("clear").addEventListener("click", () => pick([]));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && picked.size) pick([]);
  });

  // ---------------------------------------------------------------- charts

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

  // ---------------------------------------------------------------- what a mark is

  let table, rowOf, rest, restOf;

  function read(data) {
    const before = new Map(charts.map((chart) => [chart.id, chart]));
    charts = data.charts.map((chart) => {
      const text = JSON.stringify(chart);
      const old = before.get(chart.id);
      before.delete(chart.id);
      if (old && old.text === text) return old;
      return { ...chart, text, view: old ? old.view : null, element: null, quiet: false };
    });
    for (const gone of before.values()) if (gone.view) gone.view.finalize();
    const sorted = table && table.columns.length ? table.columns[state.column].title : "";
    table = data.table || { trials: [], columns: [] };
    for (const column of table.columns) {
      if (state.shown.has(column.title)) column.shown = state.shown.get(column.title);
    }
    state.column = Math.max(0, table.columns.findIndex((column) => column.title === sorted));
    rowOf = new Map(table.trials.map((trial, row) => [trial, row]));
    rest = data.unranked || { trials: [] };
    restOf = new Map(rest.trials.map((trial, row) => [trial, row]));
  }

  function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  function described(trial) {
    const lines = [];
    const row = rowOf.get(trial);
    if (row !== undefined) {
      table.columns.forEach((column, i) => {
        if (i > 1 && column.shown && column.texts[row]) {
          lines.push([column.label, column.texts[row]]);
        }
      });
      return [`Trial ${trial}, rank ${table.columns[0].texts[row]}`, lines];
    }
    const place = restOf.get(trial);
    if (place === undefined) return [`Trial ${trial}`, []];
    if (rest.reasons[place]) lines.push(["why", rest.reasons[place]]);
    if (rest.params[place]) lines.push(["config", rest.params[place]]);
    return [`Trial ${trial}, ${rest.outcomes[place]}`, lines];
  }

  function point(event, item) {
    const tip = find("tip");
    const datum = item && item.datum;
    const said = datum && (typeof datum.tip === "string" ? [datum.tip, []]
      : typeof datum.trial === "number" ? described(datum.trial) : null);
    tip.hidden = !said;
    if (!said) return;
    tip.textContent = "";
    tip.append(element("b", said[0]));
    const body = document.createElement("table");
    for (const [label, text] of said[1]) {
      const row = body.insertRow();
      row.append(element("td", label), element("td", text));
    }
    tip.append(body);
    const { clientX: x, clientY: y } = event;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, x + 16 + box.width > innerWidth ? x - 16 - box.width : x + 16)}px`;
    tip.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - box.height - 6))}px`;
  }

  // ---------------------------------------------------------------- marks by keyboard

  // Where the marks of a chart are that say something, one for each trial, from left to right.
  function stops(chart) {
    const found = new Map();
    function visit(mark, left, top) {
      const items = mark.marktype === "line" ? mark.items.slice(-1) : mark.items;
      for (const item of items) {
        if (mark.marktype === "group") {
          for (const inner of item.items) visit(inner, left + (item.x || 0), top + (item.y || 0));
          continue;
        }
        const { trial, tip } = item.datum || {};
        const key = typeof trial === "number" ? trial : tip;
        if (key === undefined || found.has(key)) continue;
        const box = item.bounds;
        const [x, y] = mark.marktype === "line" ? [item.x, item.y]
          : [(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2];
        found.set(key, { key, item, x: left + x, y: Math.min(top + y, chart.view.height()) });
      }
    }
    visit(chart.view.scenegraph().root, 0, 0);
    return [...found.values()].sort((a, b) => a.x - b.x || a.y - b.y);
  }

  function listenToKeys(chart) {
    const place = chart.element;
    const cursor = element("div", "");
    cursor.className = "cursor";
    cursor.hidden = true;
    place.append(cursor);
    place.tabIndex = 0;
    place.onblur = () => {
      cursor.hidden = find("tip").hidden = true;
      chart.at = undefined;
    };
    place.onkeydown = (event) => {
      if (typeof chart.at === "number" && (event.key === "Enter" || event.key === " ")) {
        event.preventDefault();
        toggle(chart.at, several(event));
        return;
      }
      const found = stops(chart);
      const at = found.findIndex((stop) => stop.key === chart.at);
      const next = {
        ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1,
        Home: 0, End: found.length - 1,
      }[event.key];
      if (next === undefined || !found.length || event.altKey || event.ctrlKey || event.metaKey) {
        return;
      }
      event.preventDefault();
      const stop = found[Math.max(0, Math.min(next, found.length - 1))];
      const { left: padLeft, top: padTop } = chart.view.padding();
      const [left, top] = [chart.view.origin()[0] + padLeft, chart.view.origin()[1] + padTop];
      chart.at = stop.key;
      cursor.hidden = false;
      cursor.style.left = `${left + stop.x}px`;
      cursor.style.top = `${top + stop.y}px`;
      cursor.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
      const box = place.getBoundingClientRect();
      point({ clientX: box.x + left + stop.x, clientY: box.y + top + stop.y }, stop.item);
      find("said").textContent = find("tip").innerText;
    };
  }

  // ---------------------------------------------------------------- leaderboard

  let ranking = null;
  const PAGE = 100;
  // `shown`: what the reader has chosen of the columns, by their titles.
  const state = { column: 0, down: false, words: "", limit: PAGE, shown: new Map() };

  function numeric(text) {
    const value = Number.parseFloat(text.replace(/,/g, ""));
    return Number.isNaN(value) ? null : value;
  }

  function compare(column) {
    const keys = column.numeric ? column.texts.map(numeric) : column.texts;
    return (a, b) => {
      const [x, y] = [keys[a], keys[b]];
      const [noX, noY] = [x === null || x === "", y === null || y === ""];
      if (noX || noY) return noX - noY; // what is not known comes last either way
      const order = column.numeric ? x - y : x.localeCompare(y, "en", { numeric: true });
      return state.down ? -order : order;
    };
  }

  function chosenRows() {
    const words = state.words.toLowerCase().split(/[\s,]+/).filter(Boolean);
    let chosen = table.trials.map((_, row) => row);
    if (words.length) {
      const texts = chosen.map((row) => `trial ${table.trials[row]} ${table.columns
        .map((column) => column.texts[row]).join(" ")}`.toLowerCase());
      chosen = chosen.filter((row) => words.every((word) => texts[row].includes(word)));
    }
    return chosen.sort(compare(table.columns[state.column]));
  }

  function showTable() {
    const chosen = chosenRows();
    const body = ranking.tBodies[0];
    const shown = chosen.slice(0, state.limit).map((row) => {
      const made = document.createElement("tr");
      made.dataset.trial = table.trials[row];
      made.tabIndex = 0;
      table.columns.forEach((column) => {
        const cell = element("td", column.texts[row]);
        cell.title = column.texts[row];
        cell.className = `${column.numeric ? "number" : ""} ${column.aside ? "aside" : ""}`;
        cell.hidden = !column.shown;
        made.append(cell);
      });
      return made;
    });
    body.replaceChildren(...shown);
    [...ranking.tHead.rows[0].cells].forEach((cell, i) => {
      cell.hidden = !table.columns[i].shown;
      cell.classList.toggle("aside", table.columns[i].aside);
      const direction = state.down ? "descending" : "ascending";
      cell.setAttribute("aria-sort", i === state.column ? direction : "none");
    });
    find("count").textContent = chosen.length === table.trials.length
      ? `${chosen.length} trials` : `${chosen.length} of ${table.trials.length} trials`;
    find("more").hidden = chosen.length <= state.limit;
    showPickedRows();
  }

  function showPickedRows() {
    if (!ranking) return;
    for (const row of ranking.tBodies[0].rows) {
      row.setAttribute("aria-selected", picked.has(Number(row.dataset.trial)));
    }
  }

  function prepareHeadings() {
    [...ranking.tHead.rows[0].cells].forEach((cell, i) => {
      const button = element("button", cell.textContent);
      button.type = "button";
      button.addEventListener("click", () => {
        state.down = state.column === i ? !state.down : false;
        state.column = i;
        showTable();
      });
      cell.replaceChildren(button);
    });
    const boxes = document.querySelector("#columns .boxes");
    boxes.textContent = "";
    table.columns.forEach((column) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = column.shown;
      box.addEventListener("change", () => {
        column.shown = box.checked;
        state.shown.set(column.title, box.checked);
        showTable();
      });
      label.append(box, ` ${column.title}`);
      boxes.append(label);
    });
  }

  function prepareTable() {
    const body = ranking.tBodies[0];
    // Shift would otherwise select the text between two clicks.
    body.addEventListener("mousedown", (event) => { if (event.shiftKey) event.preventDefault(); });
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row && !String(getSelection())) toggle(Number(row.dataset.trial), several(event));
    });
    body.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      toggle(Number(event.target.dataset.trial), event.shiftKey);
    });
    find("filter").addEventListener("input", (event) => {
      state.words = event.target.value;
      state.limit = PAGE;
      showTable();
    });
    find("more").addEventListener("click", () => { state.limit += 5 * PAGE; showTable(); });
  }

  document.addEventListener("click", (event) => {
    if (ranking && !event.target.closest("#columns")) find("columns").open = false;
  });

  function refreshTable() {
    const known = ranking;
    ranking = find("ranking");
    if (!ranking) return;
    if (ranking !== known) {
      prepareTable();
      find("filter").value = state.words;
    }
    const row = document.activeElement && document.activeElement.closest("#ranking tbody tr");
    const trial = row && row.dataset.trial;
    prepareHeadings();
    showTable();
    const again = trial && ranking.querySelector(`tbody tr[data-trial="${Number(trial)}"]`);
    if (again) again.focus({ preventScroll: true });
  }

  // ---------------------------------------------------------------- a newer page

  const sent = new Map(); // each part of the page, as it came

  function partsOf(page) {
    return [...page.querySelector("main").children].filter((part) => part.id);
  }

  // What the reader has unfolded, scrolled to and focused in a part, for the part that takes its place.
  function carryOver(from, to) {
    const title = (details) => details.firstElementChild.textContent.replace(/[\d,]+/g, "#");
    const open = new Map([...from.querySelectorAll("details")].map((d) => [title(d), d.open]));
    for (const details of to.querySelectorAll("details")) {
      if (open.has(title(details))) details.open = open.get(title(details));
    }
    // A chart stays where it is drawn until it is drawn anew.
    for (const place of to.querySelectorAll(".chart")) {
      const drawn = find(place.id);
      if (!drawn) continue;
      drawn.style.minWidth = place.style.minWidth;
      place.replaceWith(drawn);
    }
    const reached = "a, summary, button, input, [tabindex]";
    const focused = [...from.querySelectorAll(reached)].indexOf(document.activeElement);
    const places = [...from.querySelectorAll(".scroll, pre")].map((e) => [e.scrollLeft, e.scrollTop]);
    return () => {
      to.querySelectorAll(".scroll, pre").forEach((element, i) => {
        if (places[i]) [element.scrollLeft, element.scrollTop] = places[i];
      });
      const again = focused < 0 ? null : to.querySelectorAll(reached)[focused];
      if (again) again.focus({ preventScroll: true });
    };
  }

  function replaceParts(page) {
    const main = document.querySelector("main");
    const old = partsOf(document);
    const byId = new Map(old.map((part) => [part.id, part]));
    const scrolled = [];
    const next = partsOf(page).map((part) => {
      const before = byId.get(part.id);
      const html = part.outerHTML;
      if (before && sent.get(part.id) === html) return before;
      sent.set(part.id, html);
      if (!before) return part;
      if (part.id === "leaderboard") { // it is made of data; the words in its filter stay
        before.querySelector("thead").replaceWith(part.querySelector("thead"));
        return before;
      }
      scrolled.push(carryOver(before, part));
      return part;
    });
    if (next.map((part) => part.id).join() === old.map((part) => part.id).join()) {
      next.forEach((part, i) => { if (part !== old[i]) old[i].replaceWith(part); });
    } else {
      main.replaceChildren(...next);
    }
    scrolled.forEach((scroll) => scroll());
  }

  // Shows a newer state of the page. What the reader has picked, sorted, filtered, unfolded and
  // scrolled to stays.
  function replace(page) {
    const inView = partsOf(document).findLast((part) => part.getBoundingClientRect().top < 80);
    const top = inView ? inView.getBoundingClientRect().top : 0;
    document.title = page.title;
    for (const name of ["header", "#made"]) {
      document.querySelector(name).replaceChildren(...page.querySelector(name).childNodes);
    }
    const links = (nav) => [...nav.querySelectorAll("nav a")];
    const written = (nav) => links(nav).map((link) => link.outerHTML).join();
    if (written(document) !== written(page)) {
      links(document).forEach((link) => link.remove());
      document.querySelector("nav").prepend(...links(page));
    }
    replaceParts(page);
    read(JSON.parse(page.getElementById("data").textContent));
    refreshTable();
    const drawn = drawAll((chart) => chart.element !== find(chart.id));
    const now = inView && find(inView.id);
    if (now) scrollBy({ top: now.getBoundingClientRect().top - top, behavior: "instant" });
    return drawn;
  }

  // ---------------------------------------------------------------- start

  function drawAll(those = () => true) {
    return Promise.all(charts.filter(those).map(draw));
  }

  for (const part of partsOf(document)) sent.set(part.id, part.outerHTML);
  labelTheme();
  read(JSON.parse(find("data").textContent));
  refreshTable();
  // For whoever drives the page, such as a test or live.js: the state, once everything is drawn.
  const page = {
    picked: () => [...picked],
    pick: (trials) => pick(trials),
    charts: () => charts.map((chart) => chart.id),
    view: (id) => charts.find((chart) => chart.id === id).view,
    replace,
  };
  drawAll().then(() => { window.besomReady = page; });
})();
