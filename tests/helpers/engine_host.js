"use strict";
/* Runs fastgrad/pages/engine.js on requests from standard input, for tests: a list of
 * {call, ...}; arrays are base64 of little-endian numbers, so that every bit arrives. */
const fs = require("fs");
const path = require("path");

const [pages] = process.argv.slice(2);
const { Engine } = require(path.join(pages, "engine.js"));

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const numbers = (text) => new Float64Array(bytes(text).slice().buffer);
const packed = (array) => {
  const data = Float64Array.from(array);
  return Buffer.from(data.buffer, 0, data.byteLength).toString("base64");
};
const names = (found) =>
  Object.fromEntries(Object.entries(found).map(([key, x]) => [key, x === null ? null : (x.length === undefined ? packed([x]) : packed(x))]));

const calls = {
  operations: (engine) => [...engine.operations].map(([name, { operands }]) => [name, operands]),
  optimizers: (engine) => [...engine.optimizers].map(([name, { hyper }]) => [name, hyper]),
  row(engine, { name, a, b }) {
    const [x, y] = [numbers(a), b ? numbers(b) : null];
    const values = Array.from(x, (one, i) => engine.value(name, one, y ? y[i] : 0));
    const slopes = Array.from(x, (one, i) => engine.slopes(name, one, y ? y[i] : 0, values[i]));
    return names({ values, da: slopes.map((s) => s[0]), db: slopes.map((s) => s[1]) });
  },
  program: (engine, { description }) => engine.program(description).counts,
  sample(engine, { tape, inputs }) {
    const { program } = engine.tape(bytes(tape));
    const outputs = program.call(numbers(inputs));
    const found = names({ called: outputs, ...program.valueAndGradient(numbers(inputs)) });
    program.free();
    return found;
  },
  batch(engine, { tape, columns, n, lanes, seed, forward }) {
    const { program } = engine.tape(bytes(tape));
    program.plan(lanes, { inputs: !forward });
    const found = program.batch(numbers(columns), n, { seed, reverse: !forward, inputs: !forward });
    program.free();
    return names(found);
  },
  fit(engine, { tape, steps, columns, lanes, ...options }) {
    const { program } = engine.tape(bytes(tape));
    program.plan(lanes);
    const trainer = program.trainer({ ...options, columns: numbers(columns) });
    const losses = Array.from({ length: steps }, () => trainer.step());
    const parameters = program.parameters.slice();
    trainer.free();
    program.free();
    return names({ losses, parameters });
  },
  describe: (engine, { tape }) => engine.tape(bytes(tape)).name,
};

(async () => {
  const engine = await Engine.load(fs.readFileSync(path.join(pages, "engine.wasm")));
  const requests = JSON.parse(fs.readFileSync(0, "utf8"));
  const answers = requests.map(({ call, ...request }) => {
    try {
      return { found: calls[call](engine, request) };
    } catch (error) {
      return { error: `${error.name}: ${error.message}` };
    }
  });
  process.stdout.write(JSON.stringify(answers));
})();
