"use strict";
// Runs the program of a page without a browser: a document that takes everything, a canvas that counts what is drawn.
//   node viewer_stub.js page.html   prints {"drawn": ..., "verdict": ..., "events": ...}

const fs = require("fs");
const vm = require("vm");

const page = fs.readFileSync(process.argv[2], "utf8");
const data = page.match(/<script id="film" type="application\/json">([\s\S]*?)<\/script>/)[1];
const program = page.match(/<script>\n([\s\S]*)\n<\/script>/)[1];
const frames = [];
const elements = new Map();
let drawn = 0;

function makeContext() {
  const context = { measureText: (text) => ({ width: text.length * 6 }) };
  return new Proxy(context, {
    get: (target, name) => (name in target ? target[name] : () => { drawn += 1; }),
    set: (target, name, value) => { target[name] = value; return true; },
  });
}

function makeElement(tag) {
  const listeners = {};
  const context = makeContext();
  return {
    tagName: tag.toUpperCase(), style: {}, children: [], textContent: "", value: "0.1", clientWidth: 1200, clientHeight: 400, offsetTop: 0, offsetWidth: 100,
    offsetHeight: 30, classList: { toggle() {} }, getContext: () => context, setPointerCapture() {}, listeners,
    append(...more) { this.children.push(...more); },
    replaceChildren(...more) { this.children = more; },
    addEventListener(name, act) { (listeners[name] ||= []).push(act); },
    fire(name, event) { for (const act of listeners[name] || []) act({ preventDefault() {}, target: this, ...event }); },
    showModal() {},
  };
}

function find(id) {
  if (!elements.has(id)) elements.set(id, makeElement(id === "slider" ? "input" : "div"));
  return elements.get(id);
}

find("film").textContent = data;
const root = makeElement("document");
const document = { getElementById: find, createElement: makeElement, addEventListener: root.addEventListener };
const window = { devicePixelRatio: 1, innerWidth: 1600, innerHeight: 900, location: { hash: "" }, addEventListener() {} };
const sandbox = { document, window, requestAnimationFrame: (act) => frames.push(act), Option: function Option() {}, console };
vm.createContext(sandbox);

function settle() {
  for (let count = 0; frames.length && count < 50; count++) frames.shift()(count * 16);
}

vm.runInContext(program, sandbox);
settle();
for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft", ".", ",", "+", "-", "v", " ", " ", "End", "Home", "?"]) {
  root.fire("keydown", { key, target: { tagName: "BODY" } });
  settle();
}
for (const id of ["timeline", "overview", "strips"]) {
  for (const name of ["pointerdown", "pointermove", "pointerup", "wheel", "pointerleave"]) {
    find(id).fire(name, { offsetX: 400, offsetY: 200, clientX: 400, clientY: 200, deltaX: 0, deltaY: 100, pointerId: 1 });
    settle();
  }
}
for (const box of ["filters", "subjects"]) for (const child of find(box).children) if (child.fire) child.fire("click", {});
find("search").fire("input", { target: { value: "leads" } });
settle();
console.log(JSON.stringify({ drawn, verdict: find("verdict").textContent, events: find("events").children.length }));
