// Shows the page, once all of the above is there.

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
