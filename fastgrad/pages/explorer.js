/* The explorer: a walk through a graph, forward and backward. fastgrad/pages/explorer.py says what
 * the data is. */

const data = JSON.parse(byId("data").textContent);
const { nodes, formulas } = data;
const sums = new Map(data.sums.map((one) => [one.node, one.operands]));
const state = { step: 0, upright: false, closed: false, scale: 1, x: 0, y: 0, history: [] };

// -- the graph as a program of the engine: leaves are its inputs

function programOf(engine) {
  const leaves = nodes.flatMap((node, i) => (node.op ? [] : [i]));
  const constants = [], ops = [], terms = [], slot = [];
  leaves.forEach((i, place) => { slot[i] = place; });
  const n = leaves.length;
  const wanted = nodes.filter((node) => node.op && node.parameter !== null).length;
  for (const [i, node] of nodes.entries()) {
    if (!node.op) continue;
    let [a, b] = node.operands.map((operand) => slot[operand]);
    if (node.op === "take") {
      a = terms.length;
      b = node.operands.length - 1;
      terms.push(...node.operands.map((operand) => slot[operand]));
    } else if (node.parameter !== null) {
      b = n + constants.length;
      constants.push(parsed(node.parameter));
    } else if (b === undefined) {
      b = a;
    }
    slot[i] = n + wanted + ops.length;
    ops.push([node.op, a, b]);
  }
  const program = engine.program({ inputs: n, constants, ops, terms, outputs: [slot[data.root]] });
  return { program, leaves, slot };
}

let engine, graph, leafData, values, grads;

function compute() {
  graph.program.setInputs(graph.leaves.map((i) => leafData[i]));
  graph.program.sweep();
  const [all, adjoints] = [graph.program.values, graph.program.adjoints];
  values = graph.slot.map((slot) => all[slot]);
  grads = graph.slot.map((slot) => adjoints[slot]);
}

// -- what is visible: with neurons closed, a sum is one box and its products are none

const isVisible = (i) => !(state.closed && nodes[i].inside !== undefined);
const isSum = (i) => state.closed && sums.has(i);
const operandsOf = (i) => (isSum(i) ? sums.get(i) : nodes[i].operands);
const layout = () => data.layouts[`${state.upright ? "TD" : "LR"} ${state.closed ? "closed" : "open"}`];

function partialsOf(i) {
  const operands = operandsOf(i);
  const data = operands.map((operand) => values[operand]);
  const { op, parameter } = nodes[i];
  if (isSum(i)) return operands.map((_, k) => (k ? data[k % 2 ? k + 1 : k - 1] : 1));
  if (op === "take") {
    const entry = data[0] < 0 ? data[0] + data.length - 1 : data[0];
    return data.map((_, k) => (k && k - 1 === entry ? 1 : 0));
  }
  const second = parameter === null ? data[1] ?? data[0] : parsed(parameter);
  return engine.slopes(op, data[0], second, values[i]).slice(0, operands.length);
}

/* Who uses a node: [user, place among its operands], the last one first, as a sweep meets them. */
function usersOf(i) {
  const found = [];
  nodes.forEach((_, user) => {
    if (!isVisible(user)) return;
    operandsOf(user).forEach((operand, k) => { if (operand === i) found.push([user, k]); });
  });
  return found.reverse();
}

let order = [];
const count = () => 2 * order.length;
const isBack = () => state.step >= order.length;
const nodeAt = (step) => order[step < order.length ? step : count() - 1 - step];
const current = () => nodeAt(state.step);
const hasData = (i) => order.indexOf(i) <= state.step;
const hasGrad = (i) => count() - 1 - order.indexOf(i) <= state.step;

function listOrder() {
  const was = order.length ? [current(), isBack()] : null;
  order = nodes.flatMap((_, i) => (isVisible(i) ? [i] : []));
  if (!was) return;
  let [node, back] = was;
  if (!isVisible(node)) node = nodes[node].inside;
  const place = order.indexOf(node);
  state.step = back ? count() - 1 - place : place;
}

// -- names and texts

const symbolOf = (i) => (isSum(i) ? "Σ w·x" : nodes[i].symbol);
const nameOf = (i) => nodes[i].label || (nodes[i].op ? symbolOf(i) : shown(values[i]));
const inBrackets = (x) => (x < 0 ? `(${shown(x)})` : shown(x));

/* A formula of the table with numbers put in. */
function withNumbers(text, numbers) {
  return text.replace(/\b[aby]\b/g, (name) => (numbers[name] === undefined ? name : inBrackets(numbers[name])));
}

function numbersOf(i) {
  const { operands, parameter } = nodes[i];
  const [a, b] = operands.map((operand) => values[operand]);
  return { a, b: parameter === null ? b : parsed(parameter), y: values[i] };
}

// -- drawing

function curve(points) {
  const [first, ...rest] = points;
  let [x, y] = first, path = `M${x} ${y}`;
  for (const [u, v] of rest) {
    path += state.upright
      ? `C${x} ${(y + v) / 2} ${u} ${(y + v) / 2} ${u} ${v}`
      : `C${(x + u) / 2} ${y} ${(x + u) / 2} ${v} ${u} ${v}`;
    [x, y] = [u, v];
  }
  return path;
}

const boxes = new Map(); // node: its element, and the texts in it
let lines = [];

function draw() {
  const { boxes: places, edges } = layout();
  boxes.clear();
  lines = edges.map(([from, to, points]) => [from, to,
    element("path", { class: "edge", d: curve(points), "marker-end": "url(#tip)" })]);
  byId("edges").replaceChildren(...lines.map(([, , line]) => line));
  byId("nodes").replaceChildren(...order.map((i) => {
    const [x, y, width, height] = places[i];
    const text = (name, dy, content, field) => {
      const attributes = { class: name, x, y: y + dy, dir: "auto" };
      if (field) Object.assign(attributes, { "data-node": i, "data-field": field });
      return element("text", attributes, content);
    };
    const caption = isSum(i) ? nodes[i].caption.replace(/\+$/, "Σ w·x") : nodes[i].caption;
    const title = caption || (nodes[i].learns ? "parameter" : "number");
    const texts = [text("data", 6, "", "data"), text("grad", 21, "", "grad")];
    const kind = `node${nodes[i].op ? "" : " leaf"}${nodes[i].learns ? " learns" : ""}`;
    const box = element("rect", { x: x - width / 2, y: y - height / 2, width, height, rx: 9 });
    const made = element("g", { class: kind, role: "button", tabindex: -1, "data-node": i },
      box, text("caption", -11, title), ...texts);
    made.addEventListener("click", () => jumpTo(i));
    made.addEventListener("keydown", (event) => { if (event.key === "Enter") jumpTo(i); });
    boxes.set(i, { made, texts, title });
    return made;
  }));
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function show() {
  const now = current(), back = isBack();
  byId("stage").classList.toggle("back", back);
  const near = new Set(back ? usersOf(now).map(([user]) => user) : operandsOf(now));
  for (const [i, { made, texts, title }] of boxes) {
    made.classList.toggle("current", i === now);
    made.classList.toggle("near", near.has(i));
    made.setAttribute("tabindex", i === now ? 0 : -1);
    const [value, grad] = [hasData(i) ? shown(values[i]) : "", hasGrad(i) ? shown(grads[i]) : ""];
    setText(texts[0], value);
    setText(texts[1], grad);
    made.setAttribute("aria-label", `${title}${value && `, data ${value}`}${grad && `, gradient ${grad}`}`);
  }
  for (const [from, to, line] of lines) {
    line.classList.toggle("active", back ? from === now : to === now);
  }
  const place = `${state.step + 1} / ${count()}`;
  setText(byId("where"), `${place} ${back ? "backward" : "forward"}`);
  byId("first").disabled = byId("back").disabled = state.step === 0;
  byId("last").disabled = byId("next").disabled = state.step === count() - 1;
  setText(byId("phase"), back ? "Backward" : "Forward");
  byId("panel").replaceChildren(...(back ? backPanel(now) : forwardPanel(now)));
  const said = back ? `gradient ${shown(grads[now])}` : `data ${shown(values[now])}`;
  setText(byId("say"), `Step ${state.step + 1} of ${count()}, ${back ? "backward" : "forward"}: ${nameOf(now)}, ${said}`);
  showDescent();
}

const field = (i, name, x, more = {}) =>
  element("output", { "data-node": i, "data-field": name, title: String(x), ...more }, shown(x));

function titleOf(i) {
  const { op, label, kind } = nodes[i];
  if (!op) return label || `${kind === "constant" || !nodes[i].learns ? "a number" : "a parameter"}`;
  return label ? `${label} (${isSum(i) ? "a neuron's sum" : op})` : isSum(i) ? "a neuron's sum" : op;
}

function ruleOf(i) {
  if (isSum(i)) return ["s + w·x + w·x + ...", "sum of all below"];
  if (nodes[i].op === "take") return ["the entry that the first operand numbers", ""];
  const [text] = formulas[nodes[i].op];
  return [`y = ${text}`, `y = ${withNumbers(text, numbersOf(i))}`];
}

function forwardPanel(i) {
  const made = [element("p", { class: "step-title", dir: "auto" }, titleOf(i))];
  if (!nodes[i].op) return [...made, ...leafEditor(i)];
  const [rule, put] = ruleOf(i);
  made.push(element("div", { class: "rule" },
    element("div", {}, rule),
    element("div", { class: "quiet" }, put),
    element("div", { class: "forward-ink" }, "data ", field(i, "data", values[i]))));
  made.push(partialsTable(i));
  return made;
}

function partialsTable(i) {
  const partials = partialsOf(i);
  const isRow = !isSum(i) && nodes[i].op !== "take";
  const texts = isRow ? formulas[nodes[i].op].slice(1) : [];
  const rows = operandsOf(i).map((operand, k) => element("tr", {},
    element("th", { scope: "row", dir: "auto" }, nameOf(operand)),
    element("td", { class: "number" }, shown(values[operand])),
    element("td", {}, isRow ? `∂y/∂${"ab"[k]} = ${texts[k]} = ${withNumbers(texts[k], numbersOf(i))}` : ""),
    element("td", { class: "number" }, field(i, "partial", partials[k], { "data-operand": k }))));
  return element("table", {},
    element("thead", {}, element("tr", {}, ...["operand", "data", "", "partial"].map((name, k) =>
      element("th", { scope: "col", class: k % 2 ? "number" : "" }, name)))),
    element("tbody", {}, ...rows));
}

function leafEditor(i) {
  const input = element("input", { type: "number", step: "any", id: "leaf", value: String(values[i]) });
  input.addEventListener("change", () => {
    if (input.value === "" || !Number.isFinite(input.valueAsNumber)) return;
    leafData[i] = input.valueAsNumber;
    compute();
    show();
    byId("leaf")?.focus();
  });
  return [
    element("div", { class: "rule forward-ink" }, "data ", field(i, "data", values[i])),
    element("div", { class: "row" }, element("label", { for: "leaf" }, "change it"), input),
    element("p", { class: "quiet" }, "All that depends on it is computed anew."),
  ];
}

function backPanel(i) {
  const made = [element("p", { class: "step-title", dir: "auto" }, titleOf(i))];
  const users = usersOf(i);
  const total = element("div", { class: "rule backward-ink" }, "grad ", field(i, "grad", grads[i]));
  if (i === data.root && !users.length) {
    return [...made, element("p", {}, "The result: its derivative by itself is 1."), total, ...leafIf(i)];
  }
  const rows = users.map(([user, k]) => {
    const partial = partialsOf(user)[k];
    return element("tr", {},
      element("th", { scope: "row", dir: "auto" }, nameOf(user)),
      element("td", { class: "number" }, shown(grads[user])),
      element("td", { class: "number" }, "× ", field(user, "partial", partial, { "data-operand": k })),
      element("td", { class: "number" }, "= ", element("output", {}, shown(grads[user] * partial || 0))));
  });
  rows.push(element("tr", { class: "sum" },
    element("th", { scope: "row" }, "sum"), element("td"), element("td"),
    element("td", { class: "number backward-ink" }, field(i, "grad", grads[i]))));
  return [...made,
    element("p", { class: "quiet" }, "The chain rule, a sum over users: the user's gradient times its partial."),
    element("table", {}, element("thead", {}, element("tr", {},
      ...["user", "its grad", "partial", "part"].map((name, k) =>
        element("th", { scope: "col", class: k ? "number" : "" }, name)))),
    element("tbody", {}, ...rows)), ...leafIf(i)];
}

const leafIf = (i) => (nodes[i].op ? [partialsTable(i)] : leafEditor(i));

// -- walking

function goTo(step) {
  state.step = Math.min(Math.max(step, 0), count() - 1);
  show();
  follow();
}

function jumpTo(i) {
  const place = order.indexOf(i);
  goTo(isBack() ? count() - 1 - place : place);
}

function change(what) {
  state[what] = !state[what];
  listOrder();
  byId("direction").setAttribute("aria-pressed", state.upright);
  byId("close").setAttribute("aria-pressed", state.closed);
  draw();
  fit();
  show();
}

// -- zoom and pan: state has the middle of the view and its scale

const extent = () => byId("graph").getBoundingClientRect();
const READABLE = 0.8;

function look() {
  const { width, height } = extent();
  const [w, h] = [width / state.scale, height / state.scale];
  byId("graph").setAttribute("viewBox", `${state.x - w / 2} ${state.y - h / 2} ${w} ${h}`);
}

function whole() {
  const { width, height } = extent();
  const { width: w, height: h } = layout();
  return Math.min(1.25, width / (w + 40), height / (h + 40));
}

function fit(least = READABLE) {
  state.scale = Math.max(whole(), least);
  follow();
}

/* Brings the current node and what belongs to it into view, where not all of the graph is. */
function follow() {
  const { width, height } = extent();
  const [x, y] = layout().boxes[current()];
  const { width: w, height: h } = layout();
  const within = (at, size, view) => {
    const half = view / state.scale / 2, margin = 30;
    return size + 2 * margin < 2 * half ? size / 2 : Math.min(Math.max(at, half - margin), size + margin - half);
  };
  state.x = within(x, w, width);
  state.y = within(y, h, height);
  look();
}

function zoom(factor, at = null) {
  const before = state.scale;
  state.scale = Math.min(4, Math.max(0.05, state.scale * factor));
  if (at) {
    const share = 1 - before / state.scale;
    state.x += (at[0] - state.x) * share;
    state.y += (at[1] - state.y) * share;
  }
  look();
}

function pointOf(event) {
  const { left, top, width, height } = extent();
  return [state.x + (event.clientX - left - width / 2) / state.scale, state.y + (event.clientY - top - height / 2) / state.scale];
}

function listenToPointer() {
  const svg = byId("graph");
  let from = null;
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), pointOf(event));
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY]; });
  window.addEventListener("pointermove", (event) => {
    if (!from) return;
    state.x -= (event.clientX - from[0]) / state.scale;
    state.y -= (event.clientY - from[1]) / state.scale;
    from = [event.clientX, event.clientY];
    look();
  });
  window.addEventListener("pointerup", () => { from = null; });
}

// -- gradient descent

function descend(steps) {
  const rate = byId("rate").valueAsNumber;
  if (!Number.isFinite(rate)) return;
  for (let k = 0; k < steps; k++) {
    if (!Number.isFinite(values[data.root])) break;
    nodes.forEach((node, i) => { if (node.learns) leafData[i] += -rate * grads[i]; });
    compute();
    state.history.push(values[data.root]);
  }
  show();
}

function restart() {
  leafData = nodes.map((node) => (node.data === null ? null : parsed(node.data)));
  compute();
  state.history = [values[data.root]];
  show();
}

function showDescent() {
  const { history } = state;
  setText(byId("result"), shown(values[data.root]));
  const learning = nodes.filter((node) => node.learns).length;
  setText(byId("made"), `after ${history.length - 1} steps`);
  setText(byId("learning"), `Each step takes rate × gradient from ${learning} numbers, those in dashes.`);
  const finite = history.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const y = (value) => 37 - 34 * (high > low ? (value - low) / (high - low) : 0.5);
  const x = (k) => (100 * k) / Math.max(history.length - 1, 1);
  const points = history.flatMap((value, k) => (Number.isFinite(value) ? [`${x(k)} ${y(value)}`] : []));
  byId("loss").toggleAttribute("hidden", history.length < 2);
  byId("loss").replaceChildren(
    element("line", { x1: 0, x2: 100, y1: 39, y2: 39 }),
    element("path", { d: points.length ? `M${points.join("L")}` : "M0 0" }));
}

// -- beginning

function listen() {
  const clicks = {
    first: () => goTo(0), back: () => goTo(state.step - 1), next: () => goTo(state.step + 1),
    last: () => goTo(count() - 1), direction: () => change("upright"), close: () => change("closed"),
    in: () => zoom(1.3), out: () => zoom(1 / 1.3), fit: () => fit(0),
    step: () => descend(1), steps: () => descend(10), reset: restart,
  };
  for (const [id, action] of Object.entries(clicks)) byId(id).addEventListener("click", action);
  const keys = {
    ArrowRight: "next", ArrowLeft: "back", Home: "first", End: "last", "+": "in", "-": "out", 0: "fit",
    t: "direction", c: "close",
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
    const id = keys[event.key];
    if (!id) return;
    event.preventDefault();
    clicks[id]();
    if (event.target.closest(".node")) boxes.get(current()).made.focus({ preventScroll: true });
  });
  window.addEventListener("resize", () => fit());
  listenToPointer();
}

(async () => {
  engine = await unpackedEngine();
  setText(byId("title"), data.title);
  graph = programOf(engine);
  byId("close").hidden = !sums.size;
  listOrder();
  leafData = nodes.map((node) => (node.data === null ? null : parsed(node.data)));
  compute();
  state.history = [values[data.root]];
  state.upright = extent().width < 600;
  byId("direction").setAttribute("aria-pressed", state.upright);
  draw();
  listen();
  fit();
  show();
  document.documentElement.dataset.ready = "true";
})();
