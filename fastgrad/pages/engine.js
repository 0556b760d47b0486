"use strict";
/* The engine: fastgrad's tape core and optimizers in WebAssembly (pages/engine.h says what it has).
 *
 *   const engine = await Engine.load(bytes);              // of engine.wasm
 *   const {program} = engine.tape(bytes);                 // of a file of tape.save()
 *   const program = engine.program({inputs: 2, ...});     // or of your own making
 *   program.call([1, 2]);                                 // the outputs
 *   program.valueAndGradient([1, 2]);                     // and the first one's gradient
 *   program.plan([1, 1]); program.batch(columns, n);      // n samples
 *   program.trainer({optimizer: "SGD", hyper: {lr: 0.1}, columns, n}).step();  // the loss
 *
 * Numbers have the bits that they have in Python. Views of memory (values, adjoints, ...) are good
 * until the next call that makes something: do not keep them.
 */

class Engine {
  static async load(bytes) {
    const { instance } = await WebAssembly.instantiate(bytes, {});
    instance.exports._initialize();
    return new Engine(instance.exports);
  }

  constructor(native) {
    this.native = native;
    this.scratch = native.page_allocate(64);
    this.operations = new Map(); // name: {code, operands}
    for (let code = 0; code < native.page_operations(); code++) {
      const name = this.text(native.page_operation(code));
      if (name) this.operations.set(name, { code, operands: native.page_operands(code) });
    }
    this.optimizers = new Map(); // name: {number, hyper: [[name, kind], ...]}
    for (let number = 0; number < native.page_rules(); number++) {
      this.optimizers.set(this.text(native.page_rule(number)), { number, hyper: this.hyper(number) });
    }
  }

  hyper(rule) {
    const found = [];
    for (;;) {
      const name = this.text(this.native.page_hyper(rule, found.length, this.scratch));
      if (!name) return found;
      found.push([name, this.words(this.scratch, 1)[0]]);
    }
  }

  // -- memory

  text(address) {
    const bytes = new Uint8Array(this.native.memory.buffer);
    let end = address;
    while (address && bytes[end]) end++;
    return String.fromCharCode(...bytes.subarray(address, end));
  }

  numbers(address, n) {
    return new Float64Array(this.native.memory.buffer, address, n);
  }

  words(address, n) {
    return new Uint32Array(this.native.memory.buffer, address, n);
  }

  room(bytes) {
    const address = this.native.page_allocate(bytes + 8);
    if (!address) throw new RangeError("the engine has no memory left");
    return address;
  }

  /* A copy in the engine's memory. */
  put(array) {
    const address = this.room(array.byteLength);
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    new Uint8Array(this.native.memory.buffer, address, array.byteLength).set(bytes);
    return address;
  }

  free(...addresses) {
    for (const address of addresses) this.native.page_release(address);
  }

  // -- rows of the table

  operation(name) {
    const found = this.operations.get(name);
    if (!found) throw new RangeError(`expected an operation of this fastgrad, got ${name}`);
    return found;
  }

  value(name, a, b = 0) {
    return this.native.page_value(this.operation(name).code, a, b);
  }

  slopes(name, a, b, y) {
    this.native.page_slopes(this.operation(name).code, a, b, y, this.scratch);
    return [...this.numbers(this.scratch, 2)];
  }

  // -- programs

  /* inputs: how many; parameters, constants: their numbers; ops: [name, a, b] of each operation,
   * which fills the slot behind those before it; terms: what operations list; outputs: slots. */
  program({ inputs, parameters = [], constants = [], ops, terms = [], outputs }) {
    const flat = new Uint32Array(3 * ops.length);
    ops.forEach(([name, a, b], i) => flat.set([a, b, this.operation(name).code], 3 * i));
    const arrays = [
      this.put(flat),
      this.put(Float64Array.from(constants)),
      this.put(Uint32Array.from(terms)),
      this.put(Uint32Array.from(outputs)),
    ];
    const sizes = [inputs, parameters, constants, ops, terms, outputs].map((x) => x.length ?? x);
    const address = this.native.page_new(...sizes, ...arrays);
    this.free(...arrays);
    if (!address) throw new RangeError("expected a program, got slots that are none");
    const program = new Program(this, address, inputs, parameters.length, ops.length, outputs);
    program.leaves = inputs + parameters.length + constants.length;
    program.parameters.set(parameters);
    return program;
  }

  /* Reads a tape file, docs/tape-format.md; returns {program, name, description}. What is drawn at
   * each call while training has to be switched off: its inputs, the last ones, are 1. */
  tape(bytes) {
    const fail = (expected, got) => {
      throw new RangeError(`expected ${expected}, got ${got}`);
    };
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 8) fail("a tape file", `${bytes.length} bytes`);
    const header = data.getUint32(0, true);
    if (data.getUint32(4, true) || header > bytes.length - 8) fail("a tape file", "another");
    const decode = (from, to) => new TextDecoder().decode(bytes.subarray(from, to));
    const { __metadata__: metadata, ...tensors } = JSON.parse(decode(8, 8 + header));
    if (metadata?.format !== "fastgrad.tape") fail("a tape file", "another");
    if (!["1", "2"].includes(metadata.version)) fail("version 1 or 2 of tape files", metadata.version);
    const types = { F64: Float64Array, U32: Uint32Array, U16: Uint16Array, U8: Uint8Array };
    const read = (name) => {
      const tensor = tensors[name] ?? fail(`a tensor ${name}`, "none");
      const [begin, end] = tensor.data_offsets;
      const Type = types[tensor.dtype] ?? fail("a type of tape files", tensor.dtype);
      return new Type(bytes.slice(8 + header + begin, 8 + header + end).buffer);
    };
    const description = JSON.parse(metadata.tape);
    const [a, b] = [read("a"), read("b")];
    const ops = [...read("operations")].map((k, i) => [description.operations[k], a[i], b[i]]);
    const program = this.program({
      inputs: read("inputs").length,
      parameters: read("parameters"),
      constants: read("constants"),
      ops,
      terms: read("terms"),
      outputs: read("outputs"),
    });
    const drawn = (description.random ?? []).map(([kind, , count]) =>
      (kind === "dropout" ? count : fail("dropout", kind)));
    if (drawn.length && description.training) fail("a tape that draws nothing: tape.train(False)", "dropout");
    const count = drawn.reduce((a, b) => a + b, 0);
    program.values.fill(1, program.counts.inputs - count, program.counts.inputs);
    return { program, name: description.name, description };
  }
}

class Program {
  constructor(engine, address, inputs, parameters, ops, outputs) {
    Object.assign(this, { engine, native: engine.native, address });
    this.counts = { inputs, parameters, ops };
    this.outputSlots = [...outputs];
    this.lanes = null;
  }

  get slots() {
    return this.leaves + this.counts.ops;
  }

  get values() {
    return this.engine.numbers(this.native.page_values(this.address), this.slots);
  }

  get adjoints() {
    return this.engine.numbers(this.native.page_adjoints(this.address), this.slots);
  }

  /* The numbers of the parameters, to read and to set. */
  get parameters() {
    const { inputs, parameters } = this.counts;
    return this.values.subarray(inputs, inputs + parameters);
  }

  get parameterGradients() {
    const { inputs, parameters } = this.counts;
    return this.adjoints.subarray(inputs, inputs + parameters);
  }

  expect(result) {
    if (result === -4) throw new RangeError("expected an index of an entry, got another");
    if (result < 0) throw new RangeError("the engine has no memory left");
    return result;
  }

  free() {
    this.native.page_free(this.address);
  }

  // -- one sample

  setInputs(inputs) {
    this.values.set(inputs);
  }

  /* Computes all values, and back from the first output all adjoints. */
  sweep(reverse = true) {
    this.expect(this.native.page_sweep(this.address, reverse ? 1 : 0));
  }

  outputs() {
    const values = this.values;
    return Float64Array.from(this.outputSlots, (slot) => values[slot]);
  }

  call(inputs) {
    this.setInputs(inputs);
    this.sweep(false);
    return this.outputs();
  }

  valueAndGradient(inputs) {
    this.setInputs(inputs);
    this.sweep();
    return {
      outputs: this.outputs(),
      inputs: this.adjoints.slice(0, this.counts.inputs),
      parameters: this.parameterGradients.slice(),
    };
  }

  // -- batches

  /* Says which inputs differ from sample to sample: a 0 or 1 for each; 0 for those left out. */
  plan(lanes, { inputs = false } = {}) {
    this.lanes = Array.from({ length: this.counts.inputs }, (_, i) => lanes[i] ?? 0);
    const address = this.engine.put(Uint8Array.from(this.lanes));
    const result = this.native.page_plan(this.address, address, inputs ? 1 : 0);
    this.engine.free(address);
    this.expect(result);
  }

  /* Runs n samples of columns, one behind the other: outputs, and gradients if asked, as columns. */
  batch(columns, n, { seed = 1, reverse = false, inputs = false } = {}) {
    const [engine, wide] = [this.engine, this.lanes.filter(Boolean).length];
    const data = engine.put(Float64Array.from(columns));
    const outputs = engine.room(8 * n * this.outputSlots.length);
    const gradients = inputs ? engine.room(8 * n * wide) : 0;
    const back = reverse || inputs ? 1 : 0;
    const result = this.native.page_batch(this.address, data, n, seed, back, outputs, gradients);
    const found = {
      total: this.native.page_total(this.address),
      outputs: engine.numbers(outputs, n * this.outputSlots.length).slice(),
      inputs: inputs ? engine.numbers(gradients, n * wide).slice() : null,
      parameters: back ? this.parameterGradients.slice() : null,
    };
    engine.free(data, outputs, gradients);
    this.expect(result);
    return found;
  }

  /* fastgrad.fit, a step at a time. Without columns: on the one sample that the inputs are. */
  trainer({ optimizer, hyper, columns = [], n = 0, batchSize = n, seed = 0, reduce = "mean" }) {
    return new Trainer(this, optimizer, hyper, columns, n, batchSize, seed, reduce === "mean");
  }
}

class Trainer {
  constructor(program, optimizer, hyper, columns, n, batchSize, seed, mean) {
    const { engine, native } = program;
    this.program = program;
    this.rule = engine.optimizers.get(optimizer);
    this.data = engine.put(Float64Array.from(columns));
    this.hyper = engine.room(8 * 16);
    this.loss = engine.room(8);
    this.setHyper(hyper);
    const { number } = this.rule;
    this.address = native.page_trainer(
      program.address, number, this.hyper, this.data, n, batchSize, seed, mean ? 1 : 0);
    program.expect(this.address ? 0 : -1);
  }

  /* The rule's hyper-parameters, all of them, by name; a step reads them anew. */
  setHyper(hyper) {
    const list = this.rule.hyper.flatMap(([name]) => {
      if (!(name in hyper)) throw new RangeError(`expected a hyper-parameter ${name}, got none`);
      return hyper[name];
    });
    this.program.engine.numbers(this.hyper, list.length).set(list.map(Number));
  }

  /* Makes a step, and returns the loss before it; nan or inf: none was made. */
  step() {
    const { engine, native } = this.program;
    const made = this.program.expect(native.page_train(this.address, this.loss));
    const loss = engine.numbers(this.loss, 1)[0];
    return made || !Number.isFinite(loss) ? loss : NaN;
  }

  free() {
    this.program.native.page_trainer_free(this.address);
    this.program.engine.free(this.data, this.hyper, this.loss);
  }
}

if (typeof module !== "undefined") module.exports = { Engine, Program, Trainer };
