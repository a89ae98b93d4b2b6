// The leaderboard: sorted, filtered, its columns shown or hidden, its rows picked.

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
