"use strict";
// What the page can do beyond being read. Without it the page still says all that it says.

const NONE = Symbol("no value");
const SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹";
const SECONDS = { s: 1, min: 60, h: 3600 };
const NUMBER = /^[<=▲▼]?\s*([+-]?\d[\d,]*(?:\.\d+)?)(?:\s*×\s*10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?(?:\s*(s|min|h)\b)?/;

// The number that a cell starts with, such as 0.25 of "+0.25 worse" and 90 of "1.5 min".
function numberOf(text) {
  const found = NUMBER.exec(text.replaceAll("−", "-"));
  if (!found) return NONE;
  const power = [...(found[2] ?? "⁰")].map((sign) => "-0123456789"[SUPERSCRIPTS.indexOf(sign)]).join("");
  return Number(found[1].replaceAll(",", "")) * 10 ** Number(power) * (SECONDS[found[3]] ?? 1);
}

function textOf(text) {
  return text === "" || text === "–" ? NONE : text;
}

function compare(a, b) {
  return typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
}

// The headings that name one column each, with the column's place; one heading may stand over several.
function headings(table) {
  const taken = [];
  for (const [y, row] of [...table.tHead.rows].entries()) {
    let x = 0;
    for (const cell of row.cells) {
      taken[y] ??= [];
      while (taken[y][x]) x++;
      for (let dy = 0; dy < cell.rowSpan; dy++) {
        for (let dx = 0; dx < cell.colSpan; dx++) (taken[y + dy] ??= [])[x + dx] = cell;
      }
      x += cell.colSpan;
    }
  }
  const last = taken[table.tHead.rows.length - 1] ?? [];
  return last.flatMap((cell, x) => (cell && cell.colSpan === 1 ? [[cell, x]] : []));
}

function sort(table, body, place, direction, asText) {
  const read = asText ? textOf : numberOf;
  const rows = [...body.rows].map((row) => {
    const value = read(row.cells[place]?.textContent.trim() ?? "");
    return { row, value, start: Number(row.dataset.start) };
  });
  rows.sort((a, b) => {
    if (direction === "none") return a.start - b.start;
    if (a.value === NONE || b.value === NONE) return (a.value === NONE) - (b.value === NONE) || a.start - b.start;
    return compare(a.value, b.value) * (direction === "descending" ? -1 : 1) || a.start - b.start;
  });
  body.append(...rows.map(({ row }) => row));
}

function makeSortable(table) {
  const bodies = [...table.tBodies];
  const cells = bodies.flatMap((body) => [...body.rows]).flatMap((row) => [...row.cells]);
  const spanning = cells.some((cell) => cell.rowSpan > 1 || cell.colSpan > 1);
  if (!table.tHead || spanning || bodies.every((body) => body.rows.length < 2)) return;
  for (const body of bodies) [...body.rows].forEach((row, k) => (row.dataset.start = k));
  const heads = headings(table);
  for (const [head, place] of heads) {
    if (head.textContent.trim() === "") continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    head.ariaSort = "none";
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort];
      for (const [other] of heads) if (other.ariaSort) other.ariaSort = "none";
      head.ariaSort = next;
      for (const body of bodies) sort(table, body, place, next, head.classList.contains("text"));
    });
  }
}

// A figure over the whole window; Escape, the button or a click beside it closes it.
function makeEnlargeable(image) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "enlarge";
  button.title = "Enlarge";
  image.replaceWith(button);
  button.append(image);
  button.addEventListener("click", () => {
    const dialog = document.createElement("dialog");
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    const copy = image.cloneNode();
    copy.className = "";
    dialog.append(close, copy);
    document.body.append(dialog);
    dialog.addEventListener("click", (event) => event.target === copy || dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
  });
}

function makeCopyable(text) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  text.before(button);
  button.addEventListener("click", () => {
    getSelection().selectAllChildren(text);
    navigator.clipboard?.writeText(text.textContent.trim()).then(
      () => (button.textContent = "Copied"),
      () => (button.textContent = "Selected"),
    );
  });
}

document.querySelectorAll("table").forEach(makeSortable);
document.querySelectorAll("figure img").forEach(makeEnlargeable);
document.querySelectorAll(".copyable").forEach(makeCopyable);
document.querySelectorAll(".scroll").forEach((box) => (box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1));
// On a narrow screen the answer comes first, and the contents are folded.
const contents = document.querySelector("details.contents");
if (contents) contents.open = matchMedia("(min-width: 75rem)").matches;
