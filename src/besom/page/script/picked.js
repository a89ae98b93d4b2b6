// The set of picked trials, which every chart and the leaderboard show.

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
