"use strict";
// Draws what page.cpp has put into the page: JSON in #attention, and for each head an element #head-KIND-LAYER-HEAD, whose deflated
// codes are inflated when the head is first shown. A weight is largest · (code / steps)²; above `steps` come the codes of what is
// not finite and of what is not known.

const data = JSON.parse(document.getElementById("attention").textContent);
const element = (id) => document.getElementById(id);
const FIRST_OF_LISTS = 12;
const CACHED_HEADS = 24;
const LABEL_FONT = "12px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const LABEL_LINE = 14; // pixels that a label takes across
const MOST_LABEL = 116; // and along
const LINEAR_COLUMNS = 128; // up to so many, colours are linear unless chosen otherwise
const FEWEST_CELLS = 4; // that zooming leaves

// What is shown: numbers in data.kinds, its layers and heads; the cell that was chosen and the one that is pointed at, as
// {row, column} or null; and the part of the map that is seen.
const state = { kind: 0, layer: 0, head: 0, chosen: null, pointed: null, view: null, curve: "linear", limit: "head" };
let shown = null; // the head that is drawn
let plot = null; // where it is drawn: see layOut

const kindShown = () => data.kinds[state.kind];
const layerShown = () => kindShown().layers[state.layer];

// ---- Weights ---------------------------------------------------------------------------------------------------------------

const weightOf = (code, largest, steps = data.steps) => largest * (code / steps) ** 2;

// How far a decoded weight may be off.
const errorOf = (weight, largest) => Math.sqrt(weight * largest) / data.steps + largest / (4 * data.steps ** 2);

function textOf(weight) {
  if (weight === 0) return "0";
  if (weight < 1e-4) return weight.toExponential(1);
  return data.bits === 16 ? weight.toPrecision(3) : weight.toPrecision(2);
}

const shortText = (number) => (number < 1e-4 ? number.toExponential(0) : number.toPrecision(1));

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// A head with its codes: of a map [rows, columns]; of top keys [rows, places], as its keys are, which are −1 where there are fewer.
async function decodeHead(kindIndex, layerIndex, headIndex) {
  const kind = data.kinds[kindIndex];
  const buffer = await inflate(bytesOf(element(`head-${kindIndex}-${layerIndex}-${headIndex}`).textContent));
  const keyBytes = kind.kind === "top" ? kind.rows * kind.places * 4 : 0;
  const codes = data.bits === 16 ? new Uint16Array(buffer, keyBytes) : new Uint8Array(buffer, keyBytes);
  return {
    name: `${kindIndex}-${layerIndex}-${headIndex}`,
    kind,
    codes,
    keys: keyBytes ? new Int32Array(buffer, 0, keyBytes / 4) : null,
    largest: kind.layers[layerIndex].heads[headIndex].largest,
  };
}

const decoded = new Map(); // promises, the latest used last
function headOf(kindIndex, layerIndex, headIndex) {
  const name = `${kindIndex}-${layerIndex}-${headIndex}`;
  const head = decoded.get(name) ?? decodeHead(kindIndex, layerIndex, headIndex);
  decoded.delete(name);
  decoded.set(name, head);
  if (decoded.size > CACHED_HEADS) decoded.delete(decoded.keys().next().value);
  return head;
}

// The code of a cell.
function codeAt(head, row, column) {
  if (!head.keys) return head.codes[row * head.kind.columns + column];
  const end = (row + 1) * head.kind.places;
  for (let i = row * head.kind.places; i < end; i++) if (head.keys[i] === column) return head.codes[i];
  return data.steps + 2;
}

// Every factor × factor cells of the view as one: the largest code, so that what is not finite stays. Not known is below all.
function gridOf(head, view, factors) {
  const rows = Math.ceil(view.rows / factors.y);
  const columns = Math.ceil(view.columns / factors.x);
  const grid = new Int32Array(rows * columns).fill(-1);
  const known = data.steps + 1;
  for (let row = 0; row < view.rows; row++) {
    const into = Math.floor(row / factors.y) * columns;
    if (head.keys) {
      const end = (view.row + row + 1) * head.kind.places;
      for (let i = (view.row + row) * head.kind.places; i < end; i++) {
        const column = head.keys[i] - view.column;
        if (head.keys[i] < 0 || column < 0 || column >= view.columns) continue;
        const cell = into + Math.floor(column / factors.x);
        if (head.codes[i] > grid[cell]) grid[cell] = head.codes[i];
      }
      continue;
    }
    const from = (view.row + row) * head.kind.columns + view.column;
    for (let column = 0; column < view.columns; column++) {
      const code = head.codes[from + column];
      const cell = into + (factors.x === 1 ? column : Math.floor(column / factors.x));
      if (code > grid[cell] && code <= known) grid[cell] = code;
    }
  }
  return { rows, columns, codes: grid };
}

// ---- Colours ---------------------------------------------------------------------------------------------------------------

function rampColor(share) {
  const position = Math.min(Math.max(share, 0), 1) * (data.ramp.length - 1);
  const low = Math.min(Math.floor(position), data.ramp.length - 2);
  return data.ramp[low].map((value, i) => Math.round(value + (data.ramp[low + 1][i] - value) * (position - low)));
}

const cssColor = (rgb) => `rgb(${rgb.join(" ")})`;
// As a pixel of ImageData, seen as a little-endian number.
const pixelColor = ([red, green, blue]) => (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;

const limitShown = () =>
  state.limit === "head"
    ? layerShown().heads[state.head].largest
    : Math.max(...kindShown().layers.flatMap((layer) => layer.heads.map((head) => head.largest)));

const shareOf = (weight, limit) => {
  const share = limit > 0 ? weight / limit : 0;
  return state.curve === "root" ? Math.sqrt(share) : share;
};

// The pixel of each code.
function colorTable(largest, limit, steps) {
  const table = new Uint32Array(steps + 2);
  for (let code = 0; code <= steps; code++) table[code] = pixelColor(rampColor(shareOf(weightOf(code, largest, steps), limit)));
  table[steps + 1] = pixelColor(data.not_finite);
  return table;
}

// ---- The map ---------------------------------------------------------------------------------------------------------------

const canvas = element("map");
const context = canvas.getContext("2d");
const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const wholeMap = () => ({ row: 0, column: 0, rows: kindShown().rows, columns: kindShown().columns });

// What cannot be seen, as JSON would write it.
function visible(token) {
  const text = token.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (character) => {
    const written = JSON.stringify(character).slice(1, -1);
    return written.length > 1 ? written : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return /^ *$/.test(text) ? "␣".repeat(Math.max(text.length, 1)) : text;
}

// Whole pixels for whole cells: `cells` on `pixels` become so many pixels a cell, or, where there are too many, `factor` cells a pixel.
function fit(cells, pixels) {
  const factor = Math.max(Math.ceil(cells / Math.max(pixels, 1)), 1);
  return { factor, side: Math.max(Math.floor(pixels / Math.max(Math.ceil(cells / factor), 1)), 1) };
}

function widestLabel(labels, first, count, step) {
  let widest = 0;
  for (let i = first; i < first + count; i += step) widest = Math.max(widest, context.measureText(visible(labels[i])).width);
  return Math.min(Math.ceil(widest), MOST_LABEL) + 10;
}

// Where the map's parts lie, in the canvas's own pixels.
function layOut() {
  const ratio = window.devicePixelRatio || 1;
  const size = { width: Math.max(canvas.clientWidth, 120), height: Math.max(canvas.clientHeight, 120) };
  canvas.width = Math.round(size.width * ratio);
  canvas.height = Math.round(size.height * ratio);
  context.font = LABEL_FONT;
  const { view } = state;
  const sparse = (cells, pixels) => Math.max(Math.ceil((cells * LABEL_LINE) / pixels), 1);
  const left = widestLabel(kindShown().queries, view.row, view.rows, sparse(view.rows, size.height));
  const top = widestLabel(kindShown().keys, view.column, view.columns, sparse(view.columns, size.width));
  const x = fit(view.columns, canvas.width - Math.round(left * ratio));
  const y = fit(view.rows, canvas.height - Math.round(top * ratio));
  // Squares where both sides have room; else no side much longer than the other.
  const least = Math.max(Math.min(x.side, y.side), Math.round(12 * ratio));
  x.side = Math.min(x.side, least, Math.round(72 * ratio));
  y.side = Math.min(y.side, least, Math.round(72 * ratio));
  if (x.factor > 1 && y.factor > 1) {
    x.factor = y.factor = Math.max(x.factor, y.factor);
    x.side = y.side = 1;
  }
  const spare = canvas.width - Math.round(left * ratio) - Math.ceil(view.columns / x.factor) * x.side;
  const gap = Math.min(x.side, y.side) >= 14 * ratio ? Math.max(Math.round(ratio), 1) : 0;
  return { ratio, left: Math.round(left * ratio) + Math.max(Math.floor(spare / 2), 0), top: Math.round(top * ratio), x, y, gap };
}

function paintCells(head, grid) {
  const table = colorTable(head.largest, limitShown(), data.steps);
  const { x, y, gap } = plot;
  const image = context.createImageData(grid.columns * x.side, grid.rows * y.side);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < grid.rows; row++) {
    const first = row * y.side * image.width;
    for (let column = 0; column < grid.columns; column++) {
      const code = grid.codes[row * grid.columns + column];
      if (code >= 0) pixels.fill(table[code], first + column * x.side, first + (column + 1) * x.side - gap);
    }
    for (let line = 1; line < y.side - gap; line++) pixels.copyWithin(first + line * image.width, first, first + image.width);
  }
  context.putImageData(image, plot.left, plot.top);
}

// Every so many, of 1, 2, 5, 10 …, that their labels do not touch.
function labelStep(side, factor) {
  const least = (LABEL_LINE * plot.ratio * factor) / side;
  for (let power = 1; ; power *= 10) for (const step of [1, 2, 5]) if (step * power >= least) return step * power;
}

function cut(text) {
  if (context.measureText(text).width <= MOST_LABEL) return text;
  const characters = Array.from(text);
  while (characters.length && context.measureText(characters.join("") + "…").width > MOST_LABEL) characters.pop();
  return characters.join("") + "…";
}

// One label beside row `index`, or above column `index`.
function drawLabel(axis, index, color) {
  const isRow = axis === "y";
  const { side, factor } = plot[axis];
  const first = isRow ? state.view.row : state.view.column;
  const middle = ((Math.floor((index - first) / factor) + 0.5) * side + (isRow ? plot.top : plot.left)) / plot.ratio;
  const text = cut(visible((isRow ? kindShown().queries : kindShown().keys)[index]));
  context.save();
  context.scale(plot.ratio, plot.ratio);
  if (isRow) {
    context.translate(plot.left / plot.ratio - 6, middle);
  } else {
    context.translate(middle, plot.top / plot.ratio - 6);
    context.rotate(-Math.PI / 2);
  }
  context.font = LABEL_FONT;
  context.textAlign = isRow ? "right" : "left";
  context.textBaseline = "middle";
  if (color.behind) {
    const width = context.measureText(text).width + 8;
    context.fillStyle = color.behind;
    context.fillRect(isRow ? 4 - width : -4, -LABEL_LINE / 2 - 1, width, LABEL_LINE + 2);
  }
  context.fillStyle = color.text;
  context.fillText(text, 0, 0.5);
  context.restore();
}

function drawLabels() {
  const { view } = state;
  for (const [axis, first, count] of [["y", view.row, view.rows], ["x", view.column, view.columns]]) {
    const step = labelStep(plot[axis].side, plot[axis].factor);
    for (let i = Math.ceil(first / step) * step; i < first + count; i += step) drawLabel(axis, i, { text: themed("--quiet") });
  }
}

// Lines along the row and the column of a cell, whose colours stay as they are, a frame around it, and its labels.
function drawCell(cell) {
  const { view } = state;
  const { x, y, ratio } = plot;
  if (!cell || cell.row < view.row || cell.row >= view.row + view.rows) return;
  if (cell.column < view.column || cell.column >= view.column + view.columns) return;
  const left = plot.left + Math.floor((cell.column - view.column) / x.factor) * x.side;
  const top = plot.top + Math.floor((cell.row - view.row) / y.factor) * y.side;
  const right = plot.left + Math.ceil(view.columns / x.factor) * x.side;
  const bottom = plot.top + Math.ceil(view.rows / y.factor) * y.side;
  const line = Math.max(Math.round(ratio), 1);
  context.fillStyle = plot.gap ? themed("--text") : "rgb(150 150 150)"; // on the gaps, or on whatever colours
  for (const edge of [top - line, top + y.side]) context.fillRect(plot.left, edge, right - plot.left, line);
  for (const edge of [left - line, left + x.side]) context.fillRect(edge, plot.top, line, bottom - plot.top);
  for (const [style, out] of [["rgb(0 0 0)", 3.5], ["rgb(255 255 255)", 2]]) {
    context.lineWidth = out === 2 ? 2 * line : line;
    context.strokeStyle = style;
    context.strokeRect(left - out * line, top - out * line, x.side + 2 * out * line, y.side + 2 * out * line);
  }
  const color = { text: themed("--surface"), behind: themed("--accent") };
  drawLabel("y", cell.row, color);
  drawLabel("x", cell.column, color);
}

function drawMap() {
  if (!shown) return;
  plot = layOut();
  plot.grid = gridOf(shown, state.view, { x: plot.x.factor, y: plot.y.factor });
  paintCells(shown, plot.grid);
  drawLabels();
  plot.picture = null;
  drawPointer();
  const whole = wholeMap();
  element("all").hidden = state.view.rows === whole.rows && state.view.columns === whole.columns;
  const [across, down] = [plot.x.factor, plot.y.factor];
  element("pixels").textContent = across * down > 1 ? `a pixel is the largest of ${across} × ${down}` : "";
  canvas.dataset.head = shown.name;
  canvas.dataset.plot = JSON.stringify({ left: plot.left, top: plot.top, x: plot.x, y: plot.y, view: state.view });
}

// Pointing draws only over what is there.
function drawPointer() {
  if (!plot.picture) {
    plot.picture = document.createElement("canvas");
    plot.picture.width = canvas.width;
    plot.picture.height = canvas.height;
    plot.picture.getContext("2d").drawImage(canvas, 0, 0);
  } else {
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(plot.picture, 0, 0);
  }
  drawCell(state.pointed ?? state.chosen);
}

// ---- What is said of a cell ------------------------------------------------------------------------------------------------

function setToken(place, token, number) {
  element(place).textContent = token;
  element(place).title = token;
  element(`${place}-number`).textContent = number;
}

// The number of a label that is not the number itself, or a range of them.
const numberUnless = (labels, index) => (kindShown().kind === "pooled" || labels[index] === String(index) ? "" : String(index));

// The largest of some weights, [{index, code}], as a list with bars.
function fillList(list, entries, labels, current, largest) {
  entries.sort((a, b) => b.code - a.code || a.index - b.index);
  list.replaceChildren(
    ...entries.slice(0, FIRST_OF_LISTS).map(({ index, code }) => {
      const finite = code <= data.steps;
      const weight = weightOf(code, largest);
      const item = document.createElement("li");
      item.classList.toggle("current", index === current);
      const parts = ["number", "token", "bar", "value"].map((name) => {
        const part = document.createElement("span");
        part.className = name;
        return part;
      });
      parts[0].textContent = numberUnless(labels, index);
      item.classList.toggle("plain", parts[0].textContent === "");
      parts[1].textContent = visible(labels[index]);
      const filled = parts[2].appendChild(document.createElement("i"));
      filled.style.width = `${finite && largest > 0 ? (100 * weight) / largest : 0}%`;
      parts[3].textContent = finite ? textOf(weight) : "not finite";
      item.append(...parts);
      return item;
    }),
  );
}

const isKnown = ({ code }) => code <= data.steps + 1;

function rowEntries(head, row) {
  const { columns, places } = head.kind;
  if (!head.keys) return Array.from(head.codes.subarray(row * columns, (row + 1) * columns), (code, index) => ({ index, code }));
  return Array.from({ length: places }, (_, i) => ({ index: head.keys[row * places + i], code: head.codes[row * places + i] })).filter(
    ({ index }) => index >= 0,
  );
}

function columnEntries(head, column) {
  const entries = [];
  for (let row = 0; row < head.kind.rows; row++) entries.push({ index: row, code: codeAt(head, row, column) });
  return entries.filter(isKnown);
}

function describeWeight(cell) {
  const code = codeAt(shown, cell.row, cell.column);
  if (code === data.steps + 1) return { text: "not a finite number", error: "" };
  if (code > data.steps + 1) return { text: "not among the largest", error: "" };
  const weight = weightOf(code, shown.largest);
  return { text: textOf(weight), error: `± ${shortText(errorOf(weight, shown.largest))}`, weight };
}

function describeCell() {
  const cell = state.pointed ?? state.chosen;
  const kind = kindShown();
  element("mark").hidden = true;
  if (!cell || !shown) {
    setToken("query", "–", "");
    setToken("key", "–", "");
    element("weight").textContent = "–";
    for (const list of ["most", "received"]) {
      element(list).replaceChildren();
      element(`${list}-title`).textContent = "";
    }
    element("hint").hidden = false;
    return "";
  }
  element("hint").hidden = true;
  const query = visible(kind.queries[cell.row]);
  const key = visible(kind.keys[cell.column]);
  setToken("query", query, kind.queries[cell.row] === String(cell.row) ? "" : `row ${cell.row}`);
  setToken("key", key, kind.keys[cell.column] === String(cell.column) ? "" : `column ${cell.column}`);
  const { text, error, weight } = describeWeight(cell);
  const small = document.createElement("small");
  small.textContent = error;
  element("weight").replaceChildren(text, small);
  if (weight !== undefined) {
    element("mark").hidden = false;
    element("mark").style.left = `${100 * Math.min(shareOf(weight, limitShown()), 1)}%`;
  }
  element("most-title").textContent = `“${query}” attends most to`;
  fillList(element("most"), rowEntries(shown, cell.row).filter(isKnown), kind.keys, cell.column, shown.largest);
  element("received-title").textContent = `“${key}” receives most from`;
  fillList(element("received"), columnEntries(shown, cell.column), kind.queries, cell.row, shown.largest);
  return `query ${query}, key ${key}: ${text}`;
}

function describeScale() {
  const limit = limitShown();
  const stops = Array.from({ length: 33 }, (_, i) => cssColor(rampColor(i / 32)));
  element("ramp").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  element("ticks").replaceChildren(
    ...[0, 0.25, 0.5, 0.75, 1].map((share) => {
      const tick = document.createElement("span");
      tick.style.left = `${100 * share}%`;
      const weight = limit * (state.curve === "root" ? share ** 2 : share);
      tick.textContent = weight === 0 ? "0" : weight.toPrecision(2);
      return tick;
    }),
  );
}

// ---- The overview of all heads ---------------------------------------------------------------------------------------------

const overview = element("overview");
let tiles = null; // where the heads lie, in CSS pixels

function drawOverview() {
  const { layers, thumbnail_factor: factor, rows } = kindShown();
  const heads = layers[0].heads.length;
  element("overview-figure").hidden = layers.length * heads === 1;
  if (element("overview-figure").hidden) return;
  const ratio = window.devicePixelRatio || 1;
  const gap = 3;
  const side = Math.min(Math.floor((overview.clientWidth - gap) / heads) - gap, 40);
  tiles = { side, gap, heads, layers: layers.length };
  overview.width = Math.round(overview.clientWidth * ratio);
  overview.height = Math.round((layers.length * (side + gap) + gap) * ratio);
  overview.style.height = `${layers.length * (side + gap) + gap}px`;
  const picture = overview.getContext("2d");
  picture.imageSmoothingEnabled = true;
  picture.imageSmoothingQuality = "high";
  layers.forEach((layer, i) =>
    layer.heads.forEach((head, j) => {
      const [x, y] = [gap + j * (side + gap), gap + i * (side + gap)].map((at) => Math.round(at * ratio));
      picture.imageSmoothingEnabled = head.thumbnail_columns > side * ratio;
      picture.drawImage(thumbnailOf(head, Math.ceil(rows / factor)), x, y, Math.round(side * ratio), Math.round(side * ratio));
    }),
  );
  picture.strokeStyle = themed("--accent");
  picture.lineWidth = 2 * ratio;
  const [x, y] = [state.head, state.layer].map((i) => (gap + i * (side + gap) - 1) * ratio);
  picture.strokeRect(x, y, (side + 2) * ratio, (side + 2) * ratio);
  nameHead(state.layer, state.head);
}

function thumbnailOf(head, rows) {
  const table = colorTable(head.largest, head.largest, data.thumbnail_steps);
  const codes = bytesOf(head.thumbnail);
  const picture = document.createElement("canvas");
  picture.width = head.thumbnail_columns;
  picture.height = rows;
  const image = new ImageData(Math.max(head.thumbnail_columns, 1), Math.max(rows, 1));
  const pixels = new Uint32Array(image.data.buffer);
  codes.forEach((code, i) => (pixels[i] = code < table.length ? table[code] : 0));
  picture.getContext("2d").putImageData(image, 0, 0);
  return picture;
}

function nameHead(layer, head) {
  const { label, heads } = kindShown().layers[layer];
  element("overview-name").textContent = `layer ${label}, head ${head}: largest ${textOf(heads[head].largest)}`;
}

function headAt(event) {
  const place = (at) => Math.floor((at - tiles.gap / 2) / (tiles.side + tiles.gap));
  const [head, layer] = [place(event.offsetX), place(event.offsetY)];
  return head >= 0 && head < tiles.heads && layer >= 0 && layer < tiles.layers ? { layer, head } : null;
}

overview.addEventListener("click", (event) => {
  const at = headAt(event);
  if (at) showHead(at.layer, at.head);
});
overview.addEventListener("pointermove", (event) => {
  const at = headAt(event) ?? state;
  nameHead(at.layer, at.head);
});
overview.addEventListener("pointerleave", () => nameHead(state.layer, state.head));
overview.addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  if (!moves[event.key]) return;
  event.preventDefault();
  showHead(state.layer + moves[event.key][0], state.head + moves[event.key][1]);
});

// ---- Choosing --------------------------------------------------------------------------------------------------------------

// The address names what is shown, so that it can be kept.
function writeAddress() {
  const parts = { kind: kindShown().kind, layer: layerShown().label, head: state.head };
  if (state.chosen) Object.assign(parts, { query: state.chosen.row, key: state.chosen.column });
  history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
}

function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const found = (list, test) => Math.max(list.findIndex(test), 0);
  const within = (name, count) => {
    const number = Number.parseInt(parts.get(name) ?? "", 10);
    return number >= 0 && number < count ? number : null;
  };
  state.kind = found(data.kinds, (kind) => kind.kind === parts.get("kind"));
  state.layer = found(kindShown().layers, (layer) => layer.label === parts.get("layer"));
  state.head = within("head", layerShown().heads.length) ?? 0;
  const [row, column] = [within("query", kindShown().rows), within("key", kindShown().columns)];
  state.chosen = row !== null && column !== null ? { row, column } : null;
  state.view = wholeMap();
}

// Weights are about 1 / columns: of long sequences the small ones would all be dark.
function chooseCurve() {
  state.curve = kindShown().columns > LINEAR_COLUMNS ? "root" : "linear";
  element("curve").value = state.curve;
}

function fillChoosers() {
  const options = (select, labels, current) => {
    select.replaceChildren(...labels.map((label, i) => new Option(label, i, false, i === current)));
    select.disabled = labels.length < 2;
  };
  options(element("layer"), kindShown().layers.map((layer) => layer.label), state.layer);
  options(element("head"), layerShown().heads.map((_, i) => i), state.head);
}

const KIND_NAMES = { weights: "Weights", pooled: "Pooled map", top: "Top keys" };

function fillKinds() {
  element("kinds").hidden = data.kinds.length === 1;
  element("kinds").append(
    ...data.kinds.map((kind, i) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name: "kind", value: kind.kind, checked: i === state.kind });
      input.addEventListener("change", () => showKind(i));
      const name = document.createElement("span");
      name.textContent = KIND_NAMES[kind.kind];
      label.append(input, name);
      return label;
    }),
  );
}

function describeKind() {
  const kind = kindShown();
  const pooled = kind.kind === "pooled";
  element("row-name").textContent = pooled ? "ranges of queries" : "queries";
  element("column-name").textContent = pooled ? "ranges of keys" : "keys";
  element("query-term").textContent = pooled ? "Queries" : "Query";
  element("key-term").textContent = pooled ? "Keys" : "Key";
  element("subtitle").textContent =
    `${layerShown().tensor}, batch entry ${data.batch}: ${kind.layers.length} ${kind.layers.length === 1 ? "layer" : "layers"} of ` +
    `${layerShown().heads.length} ${layerShown().heads.length === 1 ? "head" : "heads"}, ${kind.rows} × ${kind.columns}` +
    (kind.kind === "top" ? `, the ${kind.places} largest of each row` : "");
  element("accuracy").textContent =
    `This page keeps weights in ${data.bits} bits a cell: weight = largest · (n / ${data.steps})², for each head. ` +
    `A weight w is at most √(w · largest) / ${data.steps} off.`;
}

async function showHead(layer, head) {
  const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);
  state.layer = clamp(layer, kindShown().layers.length);
  state.head = clamp(head, layerShown().heads.length);
  fillChoosers();
  describeKind();
  const wanted = `${state.kind}-${state.layer}-${state.head}`;
  const decodedHead = await headOf(state.kind, state.layer, state.head);
  if (wanted !== `${state.kind}-${state.layer}-${state.head}`) return; // another one is wanted by now
  shown = decodedHead;
  drawMap();
  drawOverview();
  describeScale();
  describeCell();
  writeAddress();
  canvas.setAttribute("aria-label", `Attention map of layer ${layerShown().label}, head ${state.head}. Arrows move the cell.`);
}

function showKind(kind) {
  const { label } = layerShown();
  state.kind = kind;
  state.layer = Math.max(kindShown().layers.findIndex((layer) => layer.label === label), 0);
  state.chosen = state.pointed = null;
  state.view = wholeMap();
  chooseCurve();
  return showHead(state.layer, state.head);
}

function point(cell) {
  if (state.pointed?.row === cell?.row && state.pointed?.column === cell?.column) return;
  state.pointed = cell;
  drawPointer();
  describeCell();
}

function choose(cell) {
  state.chosen = cell;
  state.pointed = null;
  if (cell) follow(cell);
  drawPointer();
  element("said").textContent = describeCell();
  writeAddress();
}

// ---- Zooming and moving ----------------------------------------------------------------------------------------------------

function setView(view) {
  const whole = wholeMap();
  const size = (wanted, all) => Math.min(Math.max(Math.round(wanted), Math.min(FEWEST_CELLS, all)), all);
  const rows = size(view.rows, whole.rows);
  const columns = size(view.columns, whole.columns);
  const place = (wanted, all, seen) => Math.min(Math.max(Math.round(wanted), 0), all - seen);
  state.view = { rows, columns, row: place(view.row, whole.rows, rows), column: place(view.column, whole.columns, columns) };
  drawMap();
}

// So that the cell stays where it is.
function zoom(scale, cell) {
  const { view } = state;
  const at = cell ?? { row: view.row + view.rows / 2, column: view.column + view.columns / 2 };
  setView({
    rows: view.rows * scale,
    columns: view.columns * scale,
    row: at.row - (at.row - view.row) * scale,
    column: at.column - (at.column - view.column) * scale,
  });
}

// Moves the view where the cell is outside.
function follow(cell) {
  const { view } = state;
  const shift = (at, first, count) => (at < first ? at : at >= first + count ? at - count + 1 : first);
  const moved = { ...view, row: shift(cell.row, view.row, view.rows), column: shift(cell.column, view.column, view.columns) };
  if (moved.row !== view.row || moved.column !== view.column) setView(moved);
}

// The cell under the pointer; of several in one pixel the first with the largest code.
function cellAt(event) {
  if (!plot) return null;
  const { view } = state;
  const x = Math.floor((event.offsetX * plot.ratio - plot.left) / plot.x.side);
  const y = Math.floor((event.offsetY * plot.ratio - plot.top) / plot.y.side);
  if (x < 0 || y < 0 || x >= plot.grid.columns || y >= plot.grid.rows) return null;
  const first = { row: view.row + y * plot.y.factor, column: view.column + x * plot.x.factor };
  let best = { cell: first, code: -1 };
  for (let row = first.row; row < Math.min(first.row + plot.y.factor, view.row + view.rows); row++) {
    for (let column = first.column; column < Math.min(first.column + plot.x.factor, view.column + view.columns); column++) {
      const code = codeAt(shown, row, column);
      if (code <= data.steps + 1 && code > best.code) best = { cell: { row, column }, code };
    }
  }
  return best.cell;
}

// So that what is under the pointer stays there, though cells become whole pixels.
function zoomAt(event, scale) {
  const before = cellAt(event);
  zoom(scale, before);
  const after = cellAt(event);
  if (before && after) {
    setView({ ...state.view, row: state.view.row + before.row - after.row, column: state.view.column + before.column - after.column });
  }
  point(cellAt(event));
}

let drag = null; // {x, y, view}, and whether it has moved

canvas.addEventListener("pointerdown", (event) => {
  drag = { x: event.offsetX, y: event.offsetY, view: state.view, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (drag && plot) {
    const columns = Math.round(((drag.x - event.offsetX) * plot.ratio * plot.x.factor) / plot.x.side);
    const rows = Math.round(((drag.y - event.offsetY) * plot.ratio * plot.y.factor) / plot.y.side);
    if (Math.hypot(drag.x - event.offsetX, drag.y - event.offsetY) > 4) drag.moved = true;
    canvas.classList.toggle("moving", drag.moved);
    if (drag.moved) setView({ ...drag.view, row: drag.view.row + rows, column: drag.view.column + columns });
    return;
  }
  point(cellAt(event));
});
canvas.addEventListener("pointerup", (event) => {
  canvas.classList.remove("moving");
  if (drag && !drag.moved) choose(cellAt(event));
  drag = null;
});
canvas.addEventListener("pointercancel", () => (drag = null));
canvas.addEventListener("pointerleave", () => point(null));
canvas.addEventListener("dblclick", () => setView(wholeMap()));
canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    zoomAt(event, event.deltaY > 0 ? 1.25 : 0.8);
  },
  { passive: false },
);
element("all").addEventListener("click", () => setView(wholeMap()));

canvas.addEventListener("keydown", (event) => {
  const { rows, columns } = kindShown();
  const { row, column } = state.chosen ?? { row: state.view.row, column: state.view.column };
  const started = state.chosen !== null;
  const move = (down, right) =>
    choose({
      row: Math.min(Math.max(row + (started ? down : 0), 0), rows - 1),
      column: Math.min(Math.max(column + (started ? right : 0), 0), columns - 1),
    });
  const actions = {
    ArrowUp: () => move(-1, 0),
    ArrowDown: () => move(1, 0),
    ArrowLeft: () => move(0, -1),
    ArrowRight: () => move(0, 1),
    PageUp: () => move(-10, 0),
    PageDown: () => move(10, 0),
    Home: () => move(0, -columns),
    End: () => move(0, columns),
    Escape: () => choose(null),
    "+": () => zoom(0.8, state.chosen),
    "-": () => zoom(1.25, state.chosen),
    0: () => setView(wholeMap()),
    "[": () => showHead(state.layer, state.head - 1),
    "]": () => showHead(state.layer, state.head + 1),
  };
  const action = actions[event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey || rows * columns === 0) return;
  event.preventDefault();
  action();
});

element("layer").addEventListener("change", (event) => showHead(Number(event.target.value), state.head));
element("head").addEventListener("change", (event) => showHead(state.layer, Number(event.target.value)));
for (const name of ["curve", "limit"]) {
  element(name).addEventListener("change", (event) => {
    state[name] = event.target.value;
    showHead(state.layer, state.head);
  });
}
const redraw = () => {
  drawMap();
  drawOverview();
};
window.addEventListener("hashchange", () => {
  readAddress();
  element("kinds").querySelectorAll("input")[state.kind].checked = true;
  showHead(state.layer, state.head);
});
new ResizeObserver(redraw).observe(canvas);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// ---- Starting --------------------------------------------------------------------------------------------------------------

element("title").textContent = data.title;
document.title = `${data.title} – attention`;
element("help").open = window.innerWidth >= 1120 && window.innerHeight >= 860; // where there is room
if (typeof DecompressionStream === "undefined") {
  element("notice").textContent = "This browser cannot inflate what the page holds; a newer one (of 2023 or later) can.";
  element("notice").hidden = false;
} else {
  readAddress();
  chooseCurve();
  fillKinds();
  showHead(state.layer, state.head);
}
