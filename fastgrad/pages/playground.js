/* The playground: a network of one's choice learns two classes of points, on the engine.
 * fastgrad/pages/playground.py gives the defaults of the optimizers. */

const { optimizers } = JSON.parse(byId("settings-data").textContent);

const CHOICES = {
  data: ["moons", "circles", "spirals", "xor", "lines", "own"],
  points: [50, 100, 200, 400],
  activation: ["tanh", "relu", "sigmoid", "gelu", "softplus"],
  optimizer: Object.keys(optimizers),
  rate: [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1],
  batch: ["1", "10", "50", "all"],
  penalty: ["none", "squares", "sizes"],
  strength: [0.0001, 0.001, 0.01, 0.1],
};
const PACES = [1, 3, 10, 30, 100, 500, Infinity]; // steps a second
const DEFAULTS = {
  data: "moons", noise: 0.1, points: 200, layers: "8,8", activation: "tanh", optimizer: "Adam",
  rate: 0.01, batch: "50", penalty: "none", strength: 0.001, seed: 1, speed: 3,
};
const NEURONS_MAX = 32, LAYERS_MAX = 6, OWN_MAX = 400, SIDE = 48, REACH = 1.5;

const settings = { ...DEFAULTS };
let engine, own = [], data = [], net = null, running = false, made = 0, history = [], owed = 0;
let sample = null, nextClass = 1, lastTime = null;

// -- random numbers, the same for a seed everywhere

function randomOf(seed) {
  let state = (seed * 2654435761) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
}

// -- data: [x, y, class]

const SHAPES = {
  moons(t, side) {
    const angle = Math.PI * t;
    return side > 0
      ? [0.8 * Math.cos(angle) - 0.4, 0.8 * Math.sin(angle) - 0.2]
      : [0.4 - 0.8 * Math.cos(angle), 0.2 - 0.8 * Math.sin(angle)];
  },
  circles(t, side) {
    const radius = side > 0 ? 0.45 : 1.1;
    return [radius * Math.cos(2 * Math.PI * t), radius * Math.sin(2 * Math.PI * t)];
  },
  spirals(t, side) {
    const angle = 3.2 * Math.PI * t;
    return [side * t * 1.25 * Math.sin(angle), side * t * 1.25 * Math.cos(angle)];
  },
  xor(t, side, random) {
    const [x, y] = [0.1 + 1.1 * random(), 0.1 + 1.1 * random()];
    const flip = random() < 0.5 ? -1 : 1;
    return [flip * x, flip * side * y];
  },
  lines(t, side) {
    return [2.4 * t - 1.2, 0.35 * side + 0.5 * (2.4 * t - 1.2)];
  },
};

function makeData() {
  if (settings.data === "own") return own.map((point) => [...point]);
  const random = randomOf(settings.seed);
  const noise = () => settings.noise * (random() + random() + random() + random() - 2);
  return Array.from({ length: settings.points }, (_, i) => {
    const side = i % 2 ? -1 : 1;
    const [x, y] = SHAPES[settings.data](Math.floor(i / 2) / (settings.points / 2), side, random);
    return [x + noise(), y + noise(), side];
  });
}

function readLines(text) {
  const found = [];
  for (const line of text.split("\n").filter((one) => one.trim())) {
    const [x, y, side, ...rest] = line.split(/[,;\s]+/).filter(Boolean).map(Number);
    const isRow = [x, y, side].every(Number.isFinite) && !rest.length;
    if (!isRow) return { fault: `expected x, y, class, got ${line.trim().slice(0, 30)}` };
    found.push([x, y, side > 0 ? 1 : -1]);
  }
  if (!found.length || found.length > OWN_MAX) return { fault: `expected 1 to ${OWN_MAX} lines, got ${found.length}` };
  return { found };
}

// -- the network as a program: inputs x, y, class, strength of the penalty

const layerSizes = () => settings.layers.split(",").map(Number);

/* Describes a program, and where its numbers are. The loss of a sample: log(1 + exp(-class * score)),
 * and the penalty on weights. */
function describe(parameters, outputs) {
  const sizes = [2, ...layerSizes(), 1];
  const inputs = 4;
  const constants = [0, -1];
  const counts = sizes.slice(1).map((n, l) => n * (sizes[l] + 1));
  const total = counts.reduce((a, b) => a + b, 0);
  const [zero, minus] = [inputs + total, inputs + total + 1];
  const ops = [], terms = [], neurons = [[0, 1]], weights = [];
  const first = inputs + total + constants.length;
  const add = (name, a, b = a) => ops.push([name, a, b]) - 1 + first;
  const dot = (list) => {
    const at = terms.length;
    terms.push(...list);
    return add("dot", at, (list.length - 1) / 2);
  };
  let slot = inputs;
  const edges = [], sums = [];
  for (let l = 1; l < sizes.length; l++) {
    const layer = [], before = neurons[l - 1];
    for (let k = 0; k < sizes[l]; k++) {
      const bias = slot++;
      const pairs = before.flatMap((x) => {
        edges.push({ layer: l, from: before.indexOf(x), to: k, slot });
        weights.push(slot);
        return [slot++, x];
      });
      const sum = dot([bias, ...pairs]);
      sums.push({ layer: l, at: k, bias, sum });
      layer.push(l < sizes.length - 1 ? add(settings.activation, sum) : sum);
    }
    neurons.push(layer);
  }
  const score = neurons.at(-1)[0];
  let loss = add("softplus", add("mul", add("mul", score, 2), minus));
  if (settings.penalty !== "none") {
    const parts = settings.penalty === "squares"
      ? dot([zero, ...weights.flatMap((w) => [w, w])])
      : weights.map((w) => add("abs", w)).reduce((a, b) => add("add", a, b));
    loss = add("add", loss, add("mul", parts, 3));
  }
  const hidden = neurons.slice(1, -1).flat();
  const named = { loss: [loss], score: [score], probe: [loss, score, ...hidden] }[outputs];
  return {
    description: { inputs, parameters, constants, ops, terms, outputs: named },
    sizes, neurons, edges, sums, score, loss, total,
  };
}

function firstParameters() {
  const random = randomOf(settings.seed + 17);
  const sizes = [2, ...layerSizes(), 1];
  return sizes.slice(1).flatMap((n, l) =>
    Array.from({ length: n * (sizes[l] + 1) }, (_, i) =>
      (i % (sizes[l] + 1) ? (2 * random() - 1) * Math.sqrt(3 / sizes[l]) : 0)));
}

function build() {
  if (net) for (const one of [net.trainer, net.loss, net.score, net.probe]) one.free();
  const start = firstParameters();
  const shape = describe(start, "loss");
  const program = (outputs) => engine.program(describe(start, outputs).description);
  net = { shape, loss: program("loss"), score: program("score"), probe: program("probe") };
  net.loss.plan([1, 1, 1, 0]);
  net.score.plan([1, 1, 0, 0]);
  net.probe.plan([1, 1, 1, 0]);
  const columns = [0, 1, 2].flatMap((k) => data.map((row) => row[k]));
  const batchSize = settings.batch === "all" ? data.length : Math.min(+settings.batch, data.length);
  for (const one of [net.loss, net.score, net.probe]) one.setInputs([0, 0, 1, settings.strength]);
  net.columns = columns;
  net.trainer = net.loss.trainer({
    optimizer: settings.optimizer, hyper: hyper(), columns, n: data.length, batchSize, seed: settings.seed,
  });
  made = 0;
  owed = 0;
  history = [];
  sample = sample === null ? null : Math.min(sample, data.length - 1);
  measure();
}

const hyper = () => ({ ...optimizers[settings.optimizer], lr: settings.rate });

// -- training

let measured = { loss: NaN, accuracy: NaN, outputs: [], gradients: [] };

/* The loss over all points, activations and gradients. */
function measure() {
  const n = data.length;
  for (const one of [net.score, net.probe]) one.parameters.set(net.loss.parameters);
  const found = net.probe.batch(net.columns, n, { seed: 1 / n, reverse: true });
  const scores = found.outputs.subarray(n, 2 * n);
  const right = data.filter(([, , side], s) => scores[s] * side > 0).length;
  measured = {
    loss: found.total / n, accuracy: right / n, hidden: found.outputs.subarray(2 * n), gradients: found.parameters,
  };
  if (!history.length) history.push(measured.loss);
}

function stepOnce() {
  const loss = net.trainer.step();
  if (!Number.isFinite(loss)) {
    pause();
    setText(byId("say"), "The loss is not finite: a smaller rate, or Reset.");
    return false;
  }
  made += 1;
  return true;
}

function frame(time) {
  if (!running) return;
  const pace = PACES[settings.speed], begun = performance.now();
  const elapsed = lastTime === null ? 16 : Math.min(time - lastTime, 200);
  lastTime = time;
  owed = pace === Infinity ? Infinity : Math.min(owed + (pace * elapsed) / 1000, pace);
  let steps = 0;
  while (owed >= 1 && running) {
    if (!stepOnce()) break;
    owed -= 1;
    steps += 1;
    if (steps % 8 === 0 && performance.now() - begun > 6) break; // the rest of a frame is for drawing
  }
  if (owed === Infinity) owed = 0;
  if (steps) {
    measure();
    history.push(measured.loss);
    show();
    setText(byId("frame"), (performance.now() - begun).toFixed(1));
  }
  requestAnimationFrame(frame);
}

function run() {
  if (running || !data.length) return;
  running = true;
  lastTime = null;
  buttons();
  requestAnimationFrame(frame);
}

function pause() {
  running = false;
  buttons();
  setText(byId("say"), `Paused after ${made} steps, loss ${shown(measured.loss)}`);
}

function buttons() {
  const button = (name) => document.querySelector(`[data-action=${name}]`);
  button("run").disabled = running;
  button("pause").disabled = !running;
}

// -- drawing

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

function drawPicture() {
  const canvas = byId("picture"), context = canvas.getContext("2d");
  const [one, other, paper] = [rgb(colour("--one")), rgb(colour("--other")), rgb(colour("--card"))];
  const at = (k) => ((2 * k + 1) / SIDE - 1) * REACH;
  const columns = new Float64Array(2 * SIDE * SIDE);
  for (let k = 0; k < SIDE * SIDE; k++) {
    columns[k] = at(k % SIDE);
    columns[SIDE * SIDE + k] = -at(Math.floor(k / SIDE));
  }
  const scores = net.score.batch(columns, SIDE * SIDE).outputs;
  const image = new ImageData(SIDE, SIDE);
  scores.forEach((score, k) => {
    const share = 0.55 * Math.tanh(Math.abs(score) / 2), ink = score > 0 ? one : other;
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = paper[c] + (ink[c] - paper[c]) * share;
    image.data[4 * k + 3] = 255;
  });
  const small = new OffscreenCanvas(SIDE, SIDE);
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  context.lineWidth = 1.5;
  data.forEach(([x, y, side], s) => {
    const [u, v] = [((x / REACH + 1) / 2) * canvas.width, ((1 - y / REACH) / 2) * canvas.height];
    context.beginPath();
    if (side > 0) context.arc(u, v, 4.5, 0, 7);
    else context.rect(u - 4, v - 4, 8, 8);
    context.fillStyle = colour(side > 0 ? "--one" : "--other");
    context.strokeStyle = colour("--card");
    context.fill();
    context.stroke();
    if (s === sample) {
      context.beginPath();
      context.arc(u, v, 11, 0, 7);
      context.lineWidth = 3;
      context.strokeStyle = colour("--ink");
      context.stroke();
      context.lineWidth = 1.5;
    }
  });
}

function drawCurve() {
  const finite = history.filter(Number.isFinite), most = Math.max(...finite, 1e-12);
  const kept = history.length > 600 ? history.filter((_, i) => i % Math.ceil(history.length / 600) === 0) : history;
  const points = kept.flatMap((loss, i) =>
    (Number.isFinite(loss) ? [`${(100 * i) / Math.max(kept.length - 1, 1)} ${38 - (35 * loss) / most}`] : []));
  byId("curve").replaceChildren(
    element("line", { x1: 0, x2: 100, y1: 38.5, y2: 38.5 }),
    element("path", { d: points.length > 1 ? `M${points.join("L")}` : "M0 0" }));
}

function drawBars(id, numbers) {
  const finite = Array.from(numbers).filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const bars = new Array(24).fill(0);
  for (const x of finite) bars[Math.min(23, Math.floor((24 * (x - low)) / (high - low || 1)))] += 1;
  const most = Math.max(...bars, 1);
  byId(id).replaceChildren(...bars.map((count, k) =>
    element("rect", { x: (100 * k) / 24, width: 3.6, y: 40 - (38 * count) / most, height: (38 * count) / most })));
  setText(byId(`${id}-range`), finite.length ? `${shown(low)} to ${shown(high)}` : "none");
}

function drawNetwork() {
  const svg = byId("network"), { width, height } = svg.getBoundingClientRect();
  const { sizes, edges, neurons, sums, loss } = net.shape;
  const parameters = net.loss.parameters, parameterAt = (slot) => parameters[slot - 4];
  let values = null, adjoints = null;
  if (sample !== null) {
    net.probe.setInputs([...data[sample], settings.strength]);
    net.probe.sweep();
    [values, adjoints] = [net.probe.values, net.probe.adjoints];
  }
  const x = (l) => 34 + ((width - 68) * l) / (sizes.length - 1);
  const y = (l, k) => (height * (k + 0.5)) / sizes[l];
  const most = Math.max(...edges.map(({ slot }) => Math.abs(parameterAt(slot))), 1e-9);
  const lines = edges.map(({ layer, from, to, slot }) => {
    const w = parameterAt(slot), share = Math.abs(w) / most;
    return element("line", {
      class: w > 0 ? "plus" : "minus", x1: x(layer - 1), y1: y(layer - 1, from), x2: x(layer), y2: y(layer, to),
      "stroke-width": 0.4 + 4 * share, "stroke-opacity": 0.25 + 0.75 * share,
    }, element("title", {}, `weight ${shown(w)}${adjoints ? `, gradient ${shown(adjoints[slot])}` : ""}`));
  });
  const circles = neurons.flatMap((layer, l) => layer.map((slot, k) => {
    const radius = Math.max(4, Math.min(11, height / sizes[l] / 2.6));
    const made = [element("circle", { cx: x(l), cy: y(l, k), r: radius })];
    if (!values && l === 0) made.push(element("text", { x: x(l), y: y(l, k) + 24 }, k ? "y" : "x"));
    if (values) {
      const spot = { x: x(l), "data-layer": l, "data-neuron": k };
      made.push(
        element("text", { ...spot, class: "data", y: y(l, k) - 1, "data-field": "data" }, shown(values[slot])),
        element("text", { ...spot, class: "grad", y: y(l, k) + 11, "data-field": "grad" }, shown(adjoints[slot])));
    }
    return element("g", {}, ...made);
  }));
  svg.replaceChildren(...lines, ...circles);
  byId("explained").replaceChildren(...(values ? explain(values, adjoints) : []));
}

function explain(values, adjoints) {
  const [px, py, side] = data[sample], { score, loss } = net.shape;
  const text = (...parts) => element("p", {}, ...parts);
  const number = (x, kind) => element("output", { class: `${kind}-ink` }, shown(x));
  return [
    text(`Sample ${sample + 1}: x = ${shown(px)}, y = ${shown(py)}, class ${side}.`),
    text("Forward: score ", number(values[score], "forward"), ", loss = log(1 + exp(-class · score))",
      settings.penalty === "none" ? "" : " + penalty", " = ", number(values[loss], "forward"), "."),
    text("Backward: the loss changes by ", number(adjoints[score], "backward"),
      " per unit of the score; each neuron shows its output above, the gradient below."),
  ];
}

function exported() {
  const { sizes, sums } = net.shape, parameters = net.loss.parameters;
  const rows = sums.map(({ layer, bias }) => {
    const w = Array.from(parameters.subarray(bias - 3, bias - 3 + sizes[layer - 1]), String);
    return [layer, `(${String(parameters[bias - 4])}, [${w.join(", ")}])`];
  });
  const layers = sizes.slice(1).map((_, l) =>
    `    [\n${rows.flatMap(([layer, row]) => (layer === l + 1 ? [`        ${row},`] : [])).join("\n")}\n    ],`);
  return `"""A network trained in fastgrad's playground, ${made} steps: score(x, y) > 0 means class 1."""

from fastgrad import functional

LAYERS = [  # of each neuron: its bias and its weights
${layers.join("\n")}
]


def score(x, y):
    values = [x, y]
    for depth, layer in enumerate(LAYERS, 1):
        sums = []
        for bias, weights in layer:
            total = bias
            for weight, value in zip(weights, values):
                total = total + weight * value
            sums.append(total)
        values = sums if depth == len(LAYERS) else [functional.${settings.activation}(s) for s in sums]
    return values[0]


if __name__ == "__main__":
    print(score(0.5, -0.25))
`;
}

function show() {
  setText(byId("loss"), shown(measured.loss));
  setText(byId("accuracy"), `${(100 * measured.accuracy).toFixed(1)} %`);
  setText(byId("steps"), String(made));
  drawPicture();
  drawCurve();
  drawNetwork();
  drawBars("activations", measured.hidden);
  drawBars("gradients", measured.gradients);
  if (byId("export").open) byId("python").value = exported();
}

// -- settings: controls, address

const isOneOf = (name, value) => CHOICES[name].map(String).includes(String(value));

function accept(name, text) {
  if (name in CHOICES) {
    if (!isOneOf(name, text)) return false;
    settings[name] = typeof DEFAULTS[name] === "number" ? Number(text) : text;
    return true;
  }
  if (name === "layers") {
    const sizes = text.split(",").map(Number);
    const isGood = /^\d+(,\d+)*$/.test(text) && sizes.length <= LAYERS_MAX && sizes.every((n) => n >= 1 && n <= NEURONS_MAX);
    if (isGood) settings.layers = text;
    return isGood;
  }
  const [low, high] = { noise: [0, 0.5], seed: [0, 99999], speed: [0, PACES.length - 1] }[name];
  const number = Number(text);
  const isGood = text !== "" && number >= low && number <= high && (name === "noise" || Number.isInteger(number));
  if (isGood) settings[name] = number;
  return isGood;
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(DEFAULTS)) if (given.has(name)) accept(name, given.get(name));
  const { found } = readLines((given.get("own") ?? "").replaceAll("_", "\n"));
  if (found) own = found;
  if (settings.data === "own" && !own.length) settings.data = DEFAULTS.data;
}

function writeAddress() {
  const kept = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) if (value !== DEFAULTS[name]) kept.set(name, value);
  if (settings.data === "own") kept.set("own", own.map((row) => row.join(",")).join("_"));
  window.history.replaceState(null, "", `#${kept}`);
}

function showSettings() {
  for (const [name, value] of Object.entries(settings)) byId(name).value = String(value);
  const pace = PACES[settings.speed];
  setText(byId("pace"), pace === Infinity ? "full speed" : `${pace} step${pace > 1 ? "s" : ""} a second`);
}

const KEEPS_NETWORK = new Set(["rate", "strength", "speed"]);

function changed(name) {
  if (!accept(name, byId(name).value)) {
    setText(byId("say"), `${name}: not as expected, kept ${settings[name]}`);
    showSettings();
    return;
  }
  showSettings();
  writeAddress();
  if (name === "rate") net.trainer.setHyper(hyper());
  if (name === "strength") for (const one of [net.loss, net.probe]) one.values[3] = settings.strength;
  if (!KEEPS_NETWORK.has(name)) restart();
}

function restart() {
  pause();
  data = makeData();
  build();
  show();
}

function useOwn(points) {
  own = points;
  settings.data = points.length ? "own" : DEFAULTS.data;
  showSettings();
  writeAddress();
  restart();
}

// -- beginning

function listen() {
  const actions = {
    run, pause, reset: restart,
    step() { if (stepOnce()) { measure(); history.push(measured.loss); show(); } },
  };
  for (const [name, action] of Object.entries(actions)) {
    document.querySelector(`[data-action=${name}]`).addEventListener("click", action);
  }
  for (const name of Object.keys(DEFAULTS)) byId(name).addEventListener("change", () => changed(name));
  byId("speed").addEventListener("input", () => changed("speed"));
  byId("use").addEventListener("click", () => {
    const { found, fault } = readLines(byId("csv").value);
    setText(byId("csv-say"), fault ?? `${found.length} points`);
    if (found) useOwn(found);
  });
  byId("clear").addEventListener("click", () => useOwn([]));
  const choose = (side) => {
    nextClass = side;
    byId("class-1").setAttribute("aria-pressed", side > 0);
    byId("class-2").setAttribute("aria-pressed", side < 0);
  };
  byId("class-1").addEventListener("click", () => choose(1));
  byId("class-2").addEventListener("click", () => choose(-1));
  byId("picture").addEventListener("click", (event) => {
    const { left, top, width, height } = byId("picture").getBoundingClientRect();
    const x = ((event.clientX - left) / width * 2 - 1) * REACH, y = (1 - (event.clientY - top) / height * 2) * REACH;
    if (sample !== null) {
      const distance = data.map(([u, v]) => Math.hypot(u - x, v - y));
      pick(distance.indexOf(Math.min(...distance)));
      return;
    }
    const kept = settings.data === "own" ? own : [];
    if (kept.length < OWN_MAX) useOwn([...kept, [Number(x.toFixed(3)), Number(y.toFixed(3)), nextClass]]);
  });
  byId("sample").addEventListener("click", () => pick(sample === null ? 0 : null));
  byId("previous").addEventListener("click", () => pick((sample + data.length - 1) % data.length));
  byId("following").addEventListener("click", () => pick((sample + 1) % data.length));
  byId("export").addEventListener("toggle", show);
  byId("copy").addEventListener("click", () => { byId("python").select(); document.execCommand("copy"); });
  window.addEventListener("resize", drawNetwork);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}

function pick(which) {
  sample = which;
  byId("sample").setAttribute("aria-pressed", which !== null);
  byId("samples").hidden = which === null;
  show();
}

(async () => {
  engine = await unpackedEngine();
  for (const [name, choices] of Object.entries(CHOICES)) {
    byId(name).replaceChildren(...choices.map((choice) => element("option", { value: choice }, String(choice))));
  }
  readAddress();
  showSettings();
  data = makeData();
  build();
  listen();
  show();
  document.documentElement.dataset.ready = "true";
})();
