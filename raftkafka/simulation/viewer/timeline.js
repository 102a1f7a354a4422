"use strict";
// The space-time diagram. Only what is in view is drawn, and of what falls on one pixel column only the first.

const GUTTER = 92; // Where the names of the rows stand.
const AXIS = 24;
const STRIP = 17; // A band of leadership.
const NODE_ROW = 74;
const CLIENT_ROW = 24;
const MARKS = {
  election: ["#c79a00", "diamond"], leader: ["#1d2433", "disc"], isr: ["#b0339a", "square"], hw: ["#23834d", "tick"], log: ["#b0339a", "cross"],
  broker: ["#0d8aa0", "triangle"], topic: ["#0d8aa0", "square"], group: ["#8a8f99", "tick"], machine: ["#c62f3b", "square"],
  node: ["#8a8f99", "tick"], client: ["#23834d", "tick"], fault: ["#c62f3b", "triangle"],
};

/** Fits a canvas to its box on the screen, in device pixels; its context draws in CSS pixels. */
function fit(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

class Timeline {
  constructor(canvas, state) {
    this.canvas = canvas;
    this.state = state; // { from, to, cursor, kinds: {kind: shown}, idle, marks: {what: shown}, shown: {subject: shown}, hovered }
    this.drawn = []; // What can be pointed at: {x, y, x2, y2, index} or {x, y, event}.
  }

  layOut() {
    let y = AXIS;
    this.stripY = new Map();
    for (const subject of model.subjects) {
      if (!this.state.shown[subject]) continue;
      this.stripY.set(subject, y);
      y += STRIP;
    }
    y += 8;
    this.rowY = new Map();
    for (const node of model.nodes) {
      this.rowY.set(node, y + NODE_ROW / 2);
      y += NODE_ROW;
    }
    y += 6;
    for (const client of model.clients) {
      this.rowY.set(client, y + CLIENT_ROW / 2);
      y += CLIENT_ROW;
    }
    this.height = y + 10;
  }

  x(us) {
    return GUTTER + ((us - this.state.from) / (this.state.to - this.state.from)) * (this.width - GUTTER);
  }

  us(x) {
    return this.state.from + ((x - GUTTER) / (this.width - GUTTER)) * (this.state.to - this.state.from);
  }

  draw() {
    this.layOut();
    this.width = this.canvas.clientWidth || 900;
    const context = fit(this.canvas, this.width, this.height);
    this.context = context;
    this.drawn = [];
    context.clearRect(0, 0, this.width, this.height);
    context.font = "11px system-ui, DejaVu Sans, sans-serif";
    context.textBaseline = "middle";
    context.save();
    context.beginPath();
    context.rect(GUTTER, 0, this.width - GUTTER, this.height);
    context.clip();
    this.drawFaults();
    this.drawRows();
    this.drawStrips();
    this.drawMessages();
    this.drawEvents();
    this.drawViolations();
    this.drawCursor();
    context.restore();
    this.drawAxis();
    this.drawNames();
  }

  drawAxis() {
    const { context } = this;
    const span = this.state.to - this.state.from;
    const rough = span / ((this.width - GUTTER) / 110);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= rough) * power);
    const digits = Math.max(0, Math.min(6, 6 - Math.floor(Math.log10(step) + 1e-9)));
    context.fillStyle = "#667085";
    context.textAlign = "center";
    for (let at = Math.ceil(this.state.from / step) * step; at <= this.state.to; at += step) {
      const x = this.x(at);
      if (x < GUTTER + 18 || x > this.width - 24) continue;
      context.fillText(`${seconds(at, digits)} s`, x, AXIS / 2);
      context.fillRect(x, AXIS - 4, 1, 4);
    }
  }

  drawNames() {
    const { context } = this;
    context.textAlign = "right";
    for (const [subject, y] of this.stripY) {
      context.fillStyle = "#667085";
      context.fillText(subject.replace("__consumer_offsets", "offsets"), GUTTER - 8, y + STRIP / 2);
    }
    for (const [name, y] of this.rowY) {
      const isNode = model.nodeIndex.has(name);
      const outage = model.outageAt(name, this.state.cursor);
      context.font = isNode ? "bold 14px system-ui, DejaVu Sans, sans-serif" : "11px system-ui, DejaVu Sans, sans-serif";
      context.fillStyle = isNode ? (outage ? "#a3abba" : nodeColour(name)) : "#667085";
      context.fillText(name, GUTTER - 8, y);
      if (isNode) {
        context.font = "10px system-ui, DejaVu Sans, sans-serif";
        context.fillStyle = outage ? "#c62f3b" : "#667085";
        context.fillText(outage ? outage[2] : this.roleText(name), GUTTER - 8, y + 15);
      }
    }
    context.font = "11px system-ui, DejaVu Sans, sans-serif";
  }

  roleText(node) {
    const quorum = model.stateAt("quorum", node, this.state.cursor);
    return quorum ? `${quorum.role} e${quorum.epoch}` : "";
  }

  drawFaults() {
    const { context } = this;
    const labels = new Map(); // Machine -> where its labels end, row by row.
    for (const [from, to, machines, kind] of film.faults) {
      const x = this.x(from);
      const width = Math.max(2, this.x(to) - x);
      if (x > this.width || x + width < GUTTER) continue;
      context.fillStyle = "rgba(198, 47, 59, .05)";
      context.fillRect(x, AXIS, width, this.height);
      for (const machine of machines) {
        const y = this.rowY.get(machine);
        if (y === undefined) continue;
        context.fillStyle = "rgba(198, 47, 59, .13)";
        context.fillRect(x, y - NODE_ROW / 2 + 2, width, NODE_ROW - 4);
        const left = Math.max(x, GUTTER) + 4;
        const wide = context.measureText(kind).width;
        if (x + width - left < wide) continue;
        if (!labels.has(machine)) labels.set(machine, []);
        const rows = labels.get(machine);
        const row = rows.findIndex((until) => until < left);
        rows[row < 0 ? rows.length : row] = left + wide + 6;
        context.fillStyle = "#c62f3b";
        context.textAlign = "left";
        context.fillText(kind, left, y - NODE_ROW / 2 + 10 + 11 * (row < 0 ? rows.length - 1 : row));
      }
    }
  }

  drawRows() {
    const { context } = this;
    for (const [name, y] of this.rowY) {
      const isNode = model.nodeIndex.has(name);
      context.fillStyle = isNode ? nodeColour(name) : "#cfd5e1";
      context.globalAlpha = isNode ? 0.65 : 1;
      context.fillRect(GUTTER, y - (isNode ? 1 : 0.5), this.width, isNode ? 2 : 1);
      context.globalAlpha = 1;
      for (const [from, to, state] of (isNode && model.outagesOf.get(name)) || []) {
        const x = Math.max(GUTTER, this.x(from));
        const right = Math.min(this.width, this.x(to));
        if (right <= x) continue;
        context.fillStyle = state === "paused" ? "#c9ced9" : "#ffffff";
        context.fillRect(x, y - 5, Math.max(1, right - x), 10);
        if (state !== "paused") this.hatch(x, y - 5, right - x, 10);
        context.strokeStyle = "#8a93a5";
        context.strokeRect(x + 0.5, y - 4.5, Math.max(1, right - x - 1), 9);
      }
    }
  }

  hatch(x, y, width, height) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    context.strokeStyle = "#c62f3b";
    context.globalAlpha = 0.5;
    context.beginPath();
    for (let at = x - height; at < x + width; at += 6) {
      context.moveTo(at, y + height);
      context.lineTo(at + height, y);
    }
    context.stroke();
    context.restore();
  }

  drawStrips() {
    const { context } = this;
    for (const [subject, y] of this.stripY) {
      context.fillStyle = "#f2f4f8";
      context.fillRect(GUTTER, y + 2, this.width, STRIP - 4);
      for (const each of model.leadershipsOf.get(subject)) {
        const left = Math.max(GUTTER, this.x(each.from));
        const fresh = Math.min(this.width, this.x(Math.min(each.to, each.staleFrom)));
        const right = Math.min(this.width, this.x(each.to));
        if (right < GUTTER || left > this.width) continue;
        context.fillStyle = nodeColour(each.who);
        context.globalAlpha = 0.8;
        if (fresh > left) context.fillRect(left, y + 2, Math.max(1, fresh - left), STRIP - 4);
        context.globalAlpha = 0.5;
        if (right > fresh) context.fillRect(Math.max(left, fresh), y + STRIP - 5, right - Math.max(left, fresh), 3);
        context.globalAlpha = 1;
        context.fillStyle = "#ffffff";
        context.textAlign = "left";
        if (fresh - left > 44) context.fillText(`${each.who}  epoch ${each.epoch}`, left + 5, y + STRIP / 2, fresh - left - 8);
        this.drawn.push({ x: left, y: y + 2, width: right - left, height: STRIP - 4, leadership: each, subject });
      }
    }
  }

  drawMessages() {
    const { context, state } = this;
    const seen = new Set();
    const perPixel = (state.to - state.from) / (this.width - GUTTER);
    const paths = new Map();
    model.eachMessage(state.from, state.to, (index) => {
      const row = film.messages[index];
      const kind = film.kinds[row[4]];
      if (!state.kinds[kind] || (row[5] & 2 && !state.idle)) return;
      const y = this.rowY.get(film.lanes[row[2]]);
      const y2 = this.rowY.get(film.lanes[row[3]]);
      if (y === undefined || y2 === undefined) return;
      const lost = row[1] < 0;
      const x = this.x(row[0]);
      const x2 = lost ? x + 12 : this.x(row[1]);
      const key = `${Math.round(x)} ${row[2]} ${row[3]} ${row[4]} ${Math.round(x2)}`;
      if (perPixel > 20 && seen.has(key)) return;
      seen.add(key);
      const style = `${kind} ${lost ? "lost" : row[5] & 1 ? "answer" : "request"}`;
      if (!paths.has(style)) paths.set(style, []);
      const mark = lost ? { x, y, x2, y2: y + (y2 - y) * 0.35, index } : { x, y, x2, y2, index };
      paths.get(style).push(mark);
      this.drawn.push(mark);
    });
    const crowded = this.drawn.length > 2500;
    for (const [style, marks] of paths) {
      const [kind, shape] = style.split(" ");
      context.strokeStyle = context.fillStyle = KIND_COLOURS[kind];
      context.lineWidth = crowded ? 0.7 : shape === "answer" ? 1 : 1.4;
      context.globalAlpha = crowded ? 0.55 : 0.9;
      context.setLineDash(shape === "lost" ? [3, 3] : shape === "answer" ? [6, 2] : []);
      context.beginPath();
      for (const { x, y, x2, y2 } of marks) {
        context.moveTo(x, y);
        context.lineTo(x2, y2);
      }
      context.stroke();
      context.setLineDash([]);
      if (!crowded) for (const mark of marks) this.arrowHead(mark, shape === "lost");
    }
    context.globalAlpha = 1;
    context.lineWidth = 1;
    this.labelMessages([...paths].flatMap(([style, marks]) => marks.map((mark) => [style.split(" ")[0], mark])));
    if (state.hovered && state.hovered.index !== undefined) this.highlight(state.hovered);
  }

  /** Names beside the arrows, where there is room for them. */
  labelMessages(marks) {
    const { context } = this;
    if (marks.length > 45) return;
    const taken = [];
    context.font = "10px system-ui, DejaVu Sans, sans-serif";
    context.textAlign = "left";
    for (const [kind, { x, y, x2, y2, index }] of marks) {
      const message = model.message(index);
      const text = shortened(`${message.name}${message.isAnswer ? " reply" : ""} ${message.text}`, 34);
      const at = [x + (x2 - x) * 0.3 + 5, y + (y2 - y) * 0.3];
      const width = context.measureText(text).width;
      if (taken.some(([left, top, right]) => at[0] < right && at[0] + width > left && Math.abs(at[1] - top) < 11)) continue;
      taken.push([at[0], at[1], at[0] + width]);
      context.fillStyle = "rgba(255, 255, 255, .8)";
      context.fillRect(at[0] - 2, at[1] - 6, width + 4, 12);
      context.fillStyle = KIND_COLOURS[kind];
      context.fillText(text, at[0], at[1]);
    }
    context.font = "11px system-ui, DejaVu Sans, sans-serif";
  }

  arrowHead({ x, y, x2, y2 }, lost) {
    const { context } = this;
    if (lost) {
      context.fillRect(x2 - 4, y2 - 0.75, 8, 1.5);
      context.fillRect(x2 - 0.75, y2 - 4, 1.5, 8);
      return;
    }
    const angle = Math.atan2(y2 - y, x2 - x);
    context.beginPath();
    context.moveTo(x2, y2);
    context.lineTo(x2 - 8 * Math.cos(angle - 0.35), y2 - 8 * Math.sin(angle - 0.35));
    context.lineTo(x2 - 8 * Math.cos(angle + 0.35), y2 - 8 * Math.sin(angle + 0.35));
    context.fill();
  }

  highlight({ x, y, x2, y2 }) {
    const { context } = this;
    context.strokeStyle = context.fillStyle = "#1d2433";
    context.lineWidth = 2.5;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x2, y2);
    context.stroke();
    this.arrowHead({ x, y, x2, y2 }, false);
    context.lineWidth = 1;
  }

  drawEvents() {
    const { state } = this;
    const first = lowerBound(model.events.length, (place) => model.events[place].at, state.from);
    const seen = new Set();
    for (let index = first; index < model.events.length && model.events[index].at <= state.to; index++) {
      const event = model.events[index];
      const y = this.rowY.get(event.who);
      if (y === undefined || !MARKS[event.what] || !state.marks[event.what]) continue;
      const x = this.x(event.at);
      const key = `${Math.round(x)} ${event.who} ${event.what}`;
      if (seen.has(key)) continue;
      seen.add(key);
      this.mark(event, x, y);
    }
  }

  mark(event, x, y) {
    const { context } = this;
    const [colour, shape] = MARKS[event.what];
    const bad = event.what === "client" && /\b(fail|info)\b/.test(event.text);
    const leads = event.text.startsWith("LEADS");
    context.fillStyle = bad ? "#c62f3b" : leads ? nodeColour(event.who) : colour;
    const size = leads ? 7 : shape === "tick" ? 4 : 5;
    context.beginPath();
    if (shape === "tick") context.rect(x - 1, y - size, 2, 2 * size);
    else if (shape === "disc") context.arc(x, y, size, 0, 7);
    else if (shape === "square") context.rect(x - size + 1, y - size + 1, 2 * size - 2, 2 * size - 2);
    else if (shape === "cross") context.rect(x - size, y - 1.5, 2 * size, 3);
    else {
      context.moveTo(x, y - size - 1);
      context.lineTo(x + size, shape === "diamond" ? y : y + size);
      if (shape === "diamond") context.lineTo(x, y + size + 1);
      context.lineTo(x - size, shape === "diamond" ? y : y + size);
    }
    context.fill();
    if (shape !== "tick") {
      context.strokeStyle = "#ffffff";
      context.stroke();
    }
    this.drawn.push({ x, y, event });
  }

  drawViolations() {
    const { context } = this;
    for (const event of model.violations) {
      const x = this.x(event.at);
      context.fillStyle = "#c62f3b";
      context.fillRect(x - 1, AXIS, 2, this.height);
      this.drawn.push({ x, y: AXIS + 6, event });
      context.beginPath();
      context.arc(x, AXIS + 6, 6, 0, 7);
      context.fill();
    }
  }

  drawCursor() {
    const { context } = this;
    const x = this.x(this.state.cursor);
    context.fillStyle = "rgba(217, 164, 0, .9)";
    context.fillRect(x - 0.75, 0, 1.5, this.height);
  }

  /** What is under the pointer, the nearest first. */
  at(x, y) {
    let best = null;
    let bestDistance = 7;
    for (const mark of this.drawn) {
      let distance;
      if (mark.leadership) distance = x >= mark.x && x <= mark.x + mark.width && y >= mark.y && y <= mark.y + mark.height ? 6 : 99;
      else if (mark.event) distance = Math.hypot(x - mark.x, y - mark.y) - 3;
      else distance = segmentDistance(x, y, mark);
      if (distance < bestDistance) {
        best = mark;
        bestDistance = distance;
      }
    }
    return best;
  }
}

function segmentDistance(px, py, { x, y, x2, y2 }) {
  if (py < Math.min(y, y2) - 7 || py > Math.max(y, y2) + 7) return 99;
  const dx = x2 - x;
  const dy = y2 - y;
  const share = Math.max(0, Math.min(1, ((px - x) * dx + (py - y) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(px - x - share * dx, py - y - share * dy);
}

function shortened(text, length) {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
