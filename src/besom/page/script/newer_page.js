// A newer state of the page takes its place, and what the reader has done stays.

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
