"use strict";
// The controls: time, zoom, filters, the list of events.

const SPEEDS = [["slow", 1 / 40], ["normal", 1 / 12], ["fast", 1 / 4]]; // Of the shown time, in a second.
const LIST_LINES = 120;
const ROWS_OFF = ["hw", "group", "node", "topic"]; // Marks that are not shown at first.

/** The quorum, and the logs that hold most: of them there may be many. */
const SHOWN_SUBJECTS = ["quorum", ...model.subjects
  .filter((subject) => subject !== "quorum" && !subject.startsWith("__"))
  .sort((a, b) => model.lastEnd(b) - model.lastEnd(a))
  .slice(0, 6)
  .filter((subject) => model.lastEnd(subject) > 0)];

const element = (id) => document.getElementById(id);
const shownKinds = { raft: true, control: true, fetch: true, produce: true, consume: false, group: false, client: false };
const state = {
  from: 0, to: model.end, cursor: 0, kinds: shownKinds, idle: false,
  marks: Object.fromEntries(Object.keys(MARKS).map((what) => [what, !ROWS_OFF.includes(what)])),
  shown: Object.fromEntries(model.subjects.map((subject) => [subject, SHOWN_SUBJECTS.includes(subject)])),
  hovered: null, playing: false, search: "",
};
const timeline = new Timeline(element("timeline"), state);
const overview = new Overview(element("overview"), state);
const strips = new Strips(element("strips"), state);
let waiting = false;

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    timeline.draw();
    overview.draw();
    strips.draw();
    showEvents();
    element("clock").textContent = `${seconds(state.cursor, 6)} s`;
    element("slider").value = String(Math.round((state.cursor / model.end) * 10000));
  });
}

// Time

function look(from, to) {
  const span = Math.min(model.end, Math.max(50, to - from));
  state.from = Math.max(0, Math.min(model.end - span, from));
  state.to = state.from + span;
  redraw();
}

function zoom(factor, around = state.cursor) {
  const share = (around - state.from) / (state.to - state.from);
  const span = Math.min(model.end, Math.max(50, (state.to - state.from) * factor));
  look(around - share * span, around + (1 - share) * span);
}

function goTo(us) {
  state.cursor = Math.max(0, Math.min(model.end, us));
  const span = state.to - state.from;
  if (state.cursor < state.from || state.cursor > state.to) look(state.cursor - span / 3, state.cursor + (span * 2) / 3);
  redraw();
}

/** The event that many places before or behind the cursor. */
function stepEvents(count) {
  const list = listed();
  const behind = lowerBound(list.length, (place) => list[place].at, state.cursor + (count > 0 ? 1 : 0));
  const index = count > 0 ? behind + count - 1 : behind + count;
  if (list.length) goTo(list[Math.max(0, Math.min(list.length - 1, index))].at);
}

function stepMessages(count) {
  const direction = Math.sign(count);
  let index = lowerBound(model.messageCount, (place) => model.sent[place], state.cursor + (direction > 0 ? 1 : 0)) - (direction > 0 ? 0 : 1);
  for (; index >= 0 && index < model.messageCount; index += direction) {
    const message = model.message(index);
    if (state.kinds[message.kind] && (state.idle || !message.idle)) {
      goTo(message.at);
      return;
    }
  }
}

function play(playing) {
  state.playing = playing;
  element("play").textContent = playing ? "stop" : "play";
  let last = null;
  const frame = (now) => {
    if (!state.playing) return;
    if (last !== null) {
      const share = Number(element("speed").value);
      const span = state.to - state.from;
      state.cursor = Math.min(model.end, state.cursor + ((now - last) / 1000) * span * share);
      if (state.cursor > state.from + span * 0.7) look(state.cursor - span * 0.7, state.cursor + span * 0.3);
      if (state.cursor >= model.end) play(false);
      redraw();
    }
    last = now;
    requestAnimationFrame(frame);
  };
  if (playing) requestAnimationFrame(frame);
}

// The list of events

function listed() {
  if (listed.key !== state.search) {
    listed.key = state.search;
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    listed.events = model.events.filter((event) => {
      const text = `${event.who} ${event.what} ${event.where} ${event.text}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }
  return listed.events;
}

function showEvents() {
  const list = listed();
  const next = lowerBound(list.length, (place) => list[place].at, state.cursor + 1);
  const first = Math.max(0, next - LIST_LINES / 2);
  const key = `${state.search} ${next} ${state.cursor === list[next - 1]?.at}`;
  if (showEvents.key === key) return;
  showEvents.key = key;
  const box = element("events");
  const lines = list.slice(first, first + LIST_LINES).map((event, index) => eventLine(event, first + index, next));
  box.replaceChildren(...lines);
  const current = lines[Math.max(0, next - 1 - first)];
  if (current) box.scrollTop = current.offsetTop - box.offsetTop - box.clientHeight * 0.4;
}

function eventLine(event, index, next) {
  const line = document.createElement("li");
  line.className = `${index < next ? "past" : "future"}${event.at === state.cursor ? " now" : ""} ${event.what.toLowerCase()}`;
  const where = event.where ? `${event.where} ` : "";
  for (const [tag, text] of [["span", seconds(event.at, 6)], ["b", event.who], ["span", `${where}${event.text}`]]) {
    const cell = document.createElement(tag);
    cell.textContent = text;
    if (tag === "b") cell.style.color = nodeColour(event.who);
    line.append(cell);
  }
  line.addEventListener("click", () => goTo(event.at));
  return line;
}

// Pointing

function tip(text, x, y) {
  const box = element("tip");
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  box.style.left = `${Math.min(x + 14, window.innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(y + 14, window.innerHeight - box.offsetHeight - 8)}px`;
}

function textOf(mark) {
  if (mark.event) return `${mark.event.who}  ${mark.event.what}  ${mark.event.where}\n${mark.event.text}\nat ${seconds(mark.event.at, 6)} s`;
  if (mark.leadership) {
    const { who, epoch, from, to } = mark.leadership;
    return `${mark.subject}: ${who} leads in epoch ${epoch}\n${seconds(from, 6)} s to ${seconds(to, 6)} s`;
  }
  const message = model.message(mark.index);
  const took = message.arrives < 0 ? "never arrived" : `took ${((message.arrives - message.at) / 1000).toFixed(3)} ms`;
  return `${message.kind}: ${message.name}${message.isAnswer ? " reply" : ""}   ${message.from} → ${message.to}\n${message.text}\n` +
    `sent at ${seconds(message.at, 6)} s, ${took}`;
}

function listenToTimeline() {
  const canvas = element("timeline");
  let dragged = null;
  canvas.addEventListener("pointerdown", (event) => {
    dragged = { x: event.offsetX, from: state.from, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (dragged && Math.abs(event.offsetX - dragged.x) > 3) dragged.moved = true;
    if (dragged && dragged.moved) {
      const span = state.to - state.from;
      const from = dragged.from - ((event.offsetX - dragged.x) / (timeline.width - GUTTER)) * span;
      look(from, from + span);
      return;
    }
    const mark = timeline.at(event.offsetX, event.offsetY);
    if (mark !== state.hovered) {
      state.hovered = mark;
      redraw();
    }
    tip(mark ? textOf(mark) : "", event.clientX, event.clientY);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (dragged && !dragged.moved) {
      const mark = timeline.at(event.offsetX, event.offsetY);
      goTo(mark && mark.event ? mark.event.at : timeline.us(Math.max(GUTTER, event.offsetX)));
    }
    dragged = null;
  });
  canvas.addEventListener("pointerleave", () => tip("", 0, 0));
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || !event.shiftKey && Math.abs(event.deltaY) > Math.abs(event.deltaX)) {
      event.preventDefault();
      zoom(Math.exp(event.deltaY / 400), timeline.us(Math.max(GUTTER, event.offsetX)));
    } else {
      event.preventDefault();
      const shift = ((event.deltaX || event.deltaY) / timeline.width) * (state.to - state.from);
      look(state.from + shift, state.to + shift);
    }
  }, { passive: false });
}

function listenToOverview() {
  const canvas = element("overview");
  let held = false;
  const move = (event) => {
    const span = state.to - state.from;
    const at = overview.us(event.offsetX);
    state.cursor = Math.max(0, Math.min(model.end, at));
    look(at - span / 2, at + span / 2);
  };
  canvas.addEventListener("pointerdown", (event) => {
    held = true;
    canvas.setPointerCapture(event.pointerId);
    move(event);
  });
  canvas.addEventListener("pointermove", (event) => held && move(event));
  canvas.addEventListener("pointerup", () => (held = false));
}

const KEYS = {
  ArrowLeft: (event) => stepEvents(event.shiftKey ? -10 : -1),
  ArrowRight: (event) => stepEvents(event.shiftKey ? 10 : 1),
  ",": () => stepMessages(-1),
  ".": () => stepMessages(1),
  " ": () => play(!state.playing),
  "+": () => zoom(0.6),
  "=": () => zoom(0.6),
  "-": () => zoom(1 / 0.6),
  Home: () => goTo(0),
  End: () => goTo(model.end),
  v: () => model.violations.length && goTo(model.violations[0].at),
  "?": () => element("help").showModal(),
};

function listenToControls() {
  document.addEventListener("keydown", (event) => {
    if (event.target.tagName === "INPUT" && event.target.type === "search") return;
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act(event);
  });
  const press = { "to-start": KEYS.Home, "step-back": () => stepEvents(-1), "step-on": () => stepEvents(1), play: KEYS[" "],
    "zoom-in": KEYS["+"], "zoom-out": KEYS["-"], "help-button": KEYS["?"] };
  for (const [id, act] of Object.entries(press)) element(id).addEventListener("click", act);
  element("slider").addEventListener("input", (event) => goTo((Number(event.target.value) / 10000) * model.end));
  element("search").addEventListener("input", (event) => {
    state.search = event.target.value;
    redraw();
  });
  element("strips").addEventListener("pointermove", (event) => tip(strips.textAt(event.offsetX, event.offsetY) || "", event.clientX, event.clientY));
  element("strips").addEventListener("pointerleave", () => tip("", 0, 0));
  window.addEventListener("resize", redraw);
}

// What is chosen

function toggle(box, text, colour, isOn, act) {
  const label = document.createElement("label");
  const swatch = document.createElement("i");
  swatch.style.background = colour;
  label.append(swatch, text);
  label.classList.toggle("off", !isOn());
  label.addEventListener("click", () => {
    act();
    label.classList.toggle("off", !isOn());
    redraw();
  });
  box.append(label);
}

function buildFilters() {
  const box = element("filters");
  const title = (text) => box.append(Object.assign(document.createElement("span"), { className: "gap", textContent: text }));
  title("messages");
  for (const kind of film.kinds) toggle(box, kind, KIND_COLOURS[kind], () => state.kinds[kind], () => (state.kinds[kind] = !state.kinds[kind]));
  toggle(box, "heartbeats and empty fetches", "#c9ced9", () => state.idle, () => (state.idle = !state.idle));
  title("marks");
  for (const [what, [colour]] of Object.entries(MARKS)) {
    toggle(box, what, colour, () => state.marks[what], () => (state.marks[what] = !state.marks[what]));
  }
  for (const subject of model.subjects) {
    const button = document.createElement("button");
    button.textContent = subject;
    button.className = state.shown[subject] ? "" : "off";
    button.addEventListener("click", () => {
      state.shown[subject] = !state.shown[subject];
      button.className = state.shown[subject] ? "" : "off";
      redraw();
    });
    element("subjects").append(button);
  }
  for (const [name, share] of SPEEDS) element("speed").append(new Option(name, share, name === "normal", name === "normal"));
}

function buildHead() {
  const rules = film.broken_rules.length ? `, without ${film.broken_rules.join(", ")}` : "";
  element("title").textContent = `seed ${film.seed}, profile ${film.profile}${rules}`;
  element("command").textContent = film.command;
  const verdict = element("verdict");
  if (film.violations.length) {
    const [first] = film.violations;
    verdict.textContent = `BROKEN: ${first.invariant}: ${first.text.split("\n")[0]}`;
    verdict.title = film.violations.map((each) => `${each.invariant}: ${each.text}\n${each.before}\n${each.after}`).join("\n").trim();
    verdict.className = "broken";
    verdict.addEventListener("click", () => KEYS.v());
  } else {
    verdict.textContent = "good";
    verdict.title = `${film.acknowledged} batches acknowledged in ${film.virtual_ms / 1000} s`;
  }
}

buildHead();
buildFilters();
listenToTimeline();
listenToOverview();
listenToControls();
/** Begins where the address says (`#12.5` or `#12.5,0.2`: seconds, and how many are shown), at a violation, or with the first election. */
function begin() {
  const [at, span] = window.location.hash.slice(1).split(",").map(Number);
  if (at > 0) {
    goTo(at * 1e6);
    look(state.cursor - (span || 0.5) * 5e5, state.cursor + (span || 0.5) * 5e5);
  } else if (model.violations.length) {
    goTo(model.violations[0].at);
    look(state.cursor - 0.4e6, state.cursor + 0.1e6);
  } else {
    goTo(0);
    look(0, 0.2e6);
  }
}

begin();
window.addEventListener("hashchange", begin);
