// The page's data, and what a mark of a chart says, by pointer and by keyboard.

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
