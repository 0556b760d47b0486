/* What the pages share: the engine unpacked, numbers and elements made. */

async function unpackedEngine() {
  const packed = atob(document.getElementById("engine").textContent);
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return Engine.load(await new Response(stream).arrayBuffer());
}

/* A number with four significant digits. */
function shown(x) {
  return Number.isFinite(x) ? x.toPrecision(4) : Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
}

/* The number that a text shows, as Python writes it. */
function parsed(text) {
  const special = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  return text in special ? special[text] : Number(text);
}

const byId = (id) => document.getElementById(id);

/* An element; text is set as text, never read as markup. */
function element(name, attributes = {}, ...children) {
  const isSvg = ["svg", "g", "path", "rect", "text", "line", "circle", "title"].includes(name);
  const made = isSvg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}
