// Keeps a page as the server says it is. In: server-sent events with HTML that the server made and escaped.
// Out: that HTML in its place, ages of moments, and on the list the filter and the counts.
"use strict";

const byId = (id) => document.getElementById(id);

// Ages ---------------------------------------------------------------------

function age(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  for (const [size, unit] of units) if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit} ago`;
  return seconds < 5 ? "just now" : `${Math.floor(seconds)} s ago`;
}

function tellAges(root) {
  for (const time of root.querySelectorAll("time[data-ago]")) {
    const text = age((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

// Replacing without losing the reader's place ---------------------------------

function keepPlace(element, change) {
  const focused = element.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const open = [...element.querySelectorAll("details[open]")].map((details) => details.id);
  const current = change();
  for (const id of open) byId(id)?.setAttribute("open", "");
  if (focused) current.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  tellAges(current);
}

function flash(element) {
  element.classList.remove("changed");
  void element.offsetWidth;
  element.classList.add("changed");
}

// The list ------------------------------------------------------------------

const rows = byId("rows");
const filter = byId("filter");

function parseRow(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

function findRow(key) {
  return rows.querySelector(`tr[data-key="${CSS.escape(key)}"]`);
}

// Namespace first, then name, as the server sorts.
function isBefore(a, b) {
  const [x, y] = [a.split("/"), b.split("/")];
  return x[0] === y[0] ? x[1] < y[1] : x[0] < y[0];
}

function putRow({ key, html }) {
  const row = parseRow(html);
  const known = findRow(key);
  if (known) {
    keepPlace(known, () => (known.replaceWith(row), row));
  } else {
    const next = [...rows.children].find((other) => isBefore(key, other.dataset.key));
    rows.insertBefore(row, next ?? null);
    tellAges(row);
  }
  flash(row);
}

function wanted(kind) {
  const pressed = document.querySelectorAll(`button.count[data-kind="${kind}"][aria-pressed="true"]`);
  return new Set([...pressed].map((button) => button.dataset.state));
}

function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const [sync, health] = [wanted("sync"), wanted("health")];
  let shown = 0;
  for (const row of rows.children) {
    const { words: text, sync: rowSync, health: rowHealth } = row.dataset;
    const fits =
      words.every((word) => text.includes(word)) &&
      (sync.size === 0 || sync.has(rowSync)) &&
      (health.size === 0 || health.has(rowHealth));
    row.hidden = !fits;
    if (fits) shown += 1;
  }
  byId("none").hidden = rows.children.length > 0;
  byId("unmatched").hidden = shown > 0 || rows.children.length === 0;
}

function recount() {
  byId("total").textContent = rows.children.length;
  for (const button of document.querySelectorAll("button.count")) {
    const { kind, state } = button.dataset;
    const count = rows.querySelectorAll(`tr[data-${kind}="${state}"]`).length;
    button.querySelector("strong").textContent = count;
    button.hidden = count === 0 && button.getAttribute("aria-pressed") !== "true";
  }
  applyFilter();
}

// The filter is part of the address, so that it can be kept and shared.
function rememberFilter() {
  const address = new URL(location.href);
  address.search = "";
  if (filter.value) address.searchParams.set("q", filter.value);
  for (const kind of ["sync", "health"])
    for (const state of wanted(kind)) address.searchParams.append(kind, state);
  history.replaceState(null, "", address);
}

function recallFilter() {
  const asked = new URL(location.href).searchParams;
  filter.value = asked.get("q") ?? "";
  for (const button of document.querySelectorAll("button.count")) {
    const isAsked = asked.getAll(button.dataset.kind).includes(button.dataset.state);
    button.setAttribute("aria-pressed", isAsked);
    if (isAsked) button.hidden = false;
  }
  applyFilter();
}

function startList() {
  const changed = () => {
    applyFilter();
    rememberFilter();
  };
  filter.addEventListener("input", changed);
  filter.form.addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll("button.count")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      changed();
    });
  }
  byId("clear").addEventListener("click", () => {
    filter.value = "";
    for (const button of document.querySelectorAll("button.count")) button.setAttribute("aria-pressed", "false");
    changed();
    recount();
    filter.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
      event.preventDefault();
      filter.focus();
    }
  });
  recallFilter();
}

// The stream ------------------------------------------------------------------

const handlers = {
  rows({ rows: changed, gone }) {
    changed.forEach(putRow);
    gone.forEach((key) => findRow(key)?.remove());
    recount();
  },
  all({ html }) {
    keepPlace(rows, () => ((rows.innerHTML = html), rows));
    recount();
  },
  sections(changed) {
    byId("gone").hidden = true;
    for (const [id, html] of Object.entries(changed)) {
      const section = byId(id);
      if (section) keepPlace(section, () => ((section.innerHTML = html), section));
    }
  },
  gone() {
    byId("gone").hidden = false;
  },
};

function tellState(state, text) {
  const live = byId("live");
  if (live.dataset.state === state) return;
  live.dataset.state = state;
  live.textContent = text;
}

function listen(address) {
  const stream = new EventSource(address);
  stream.onopen = () => tellState("live", "Live");
  stream.onerror = () => {
    tellState("waiting", "Reconnecting");
    // The browser tries again by itself unless the server refused.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000, address);
  };
  for (const [name, handle] of Object.entries(handlers))
    stream.addEventListener(name, (event) => handle(JSON.parse(event.data)));
}

if (rows) startList();
tellAges(document);
setInterval(() => tellAges(document), 5000);
if (document.body.dataset.stream) listen(document.body.dataset.stream);
