"use strict";
// What each replica of the chosen logs holds at a time: a box for each record, coloured by its leader epoch.

const SHOWN_RECORDS = 48;
const ROW = 22;
const HEAD = 22;
const LEFT = 92;
const RIGHT = 56;

class Strips {
  constructor(canvas, state) {
    this.canvas = canvas;
    this.state = state; // { cursor, shown: {subject: shown} }
    this.drawn = [];
  }

  draw() {
    const subjects = model.subjects.filter((subject) => this.state.shown[subject]);
    const rows = subjects.map((subject) => [...model.replicas.get(subject).keys()].sort());
    const height = 6 + rows.reduce((sum, names) => sum + HEAD + names.length * ROW + 8, 0);
    this.width = this.canvas.clientWidth || 420;
    const context = fit(this.canvas, this.width, height);
    this.context = context;
    this.drawn = [];
    context.clearRect(0, 0, this.width, height);
    context.textBaseline = "middle";
    let y = 4;
    subjects.forEach((subject, index) => {
      this.drawLog(subject, rows[index], y);
      y += HEAD + rows[index].length * ROW + 8;
    });
  }

  drawLog(subject, names, y) {
    const { context } = this;
    const at = this.state.cursor;
    const leader = model.leaderAt(subject, at);
    const leading = leader ? model.stateAt(subject, leader.who, at) : null;
    context.textAlign = "left";
    context.font = "bold 12px system-ui, DejaVu Sans, sans-serif";
    context.fillStyle = "#1d2433";
    context.fillText(subject, 12, y + HEAD / 2);
    context.font = "11px system-ui, DejaVu Sans, sans-serif";
    context.fillStyle = "#667085";
    const isr = leading && leading.isr.length ? `   isr ${leading.isr.join(",")}` : "";
    const proposed = leading && leading.proposed.length ? ` → ${leading.proposed.join(",")}?` : "";
    context.fillText(leader ? `${leader.who} leads in epoch ${leader.epoch}${isr}${proposed}` : "no leader", 12 + Math.max(90, subject.length * 7.4), y + HEAD / 2);

    const states = names.map((name) => model.stateAt(subject, name, at));
    const end = Math.max(1, ...states.map((state) => (state ? state.end : 0)));
    const from = Math.max(0, end - SHOWN_RECORDS);
    names.forEach((name, index) => this.drawReplica(subject, name, states[index], leading, from, y + HEAD + index * ROW));
  }

  drawReplica(subject, name, state, leading, from, y) {
    const { context } = this;
    const outage = model.outageAt(name, this.state.cursor);
    const cell = (this.width - LEFT - RIGHT) / SHOWN_RECORDS;
    const number = Number(name.slice(1));
    const inSync = leading && leading.isr.length ? leading.isr.includes(number) : true;
    context.globalAlpha = outage ? 0.45 : 1;
    context.font = "bold 12px system-ui, DejaVu Sans, sans-serif";
    context.textAlign = "left";
    context.fillStyle = nodeColour(name);
    context.fillText(name, 12, y + ROW / 2);
    context.font = "10px system-ui, DejaVu Sans, sans-serif";
    context.fillStyle = "#667085";
    const role = outage ? outage[2] : state ? state.role : "";
    context.fillText(role + (inSync ? "" : " ✗"), 34, y + ROW / 2, LEFT - 38);
    context.fillStyle = "#f2f4f8";
    context.fillRect(LEFT, y + 3, cell * SHOWN_RECORDS, ROW - 6);
    if (state) {
      for (let offset = Math.max(from, state.start); offset < state.end; offset++) {
        context.fillStyle = epochColour(epochOf(state, offset), offset < state.highWatermark ? 62 : 84);
        context.fillRect(LEFT + (offset - from) * cell, y + 3, Math.max(1, cell - 1), ROW - 6);
      }
      const mark = LEFT + (state.highWatermark - from) * cell;
      if (state.highWatermark >= from) {
        context.fillStyle = "#1d2433";
        context.fillRect(mark - 1, y, 2, ROW);
      }
      context.textAlign = "right";
      context.font = "10px ui-monospace, DejaVu Sans Mono, monospace";
      context.fillStyle = "#1d2433";
      context.fillText(`${state.highWatermark}/${state.end}`, this.width - 6, y + ROW / 2);
    }
    context.globalAlpha = 1;
    this.drawn.push({ x: 0, y, width: this.width, height: ROW, subject, name, state, from, cell });
  }

  /** What to say of the replica under the pointer. */
  textAt(x, y) {
    const row = this.drawn.find((each) => y >= each.y && y < each.y + each.height);
    if (!row || !row.state) return null;
    const { state } = row;
    const lines = [`${row.name}, ${row.subject}: ${state.role}, leader epoch ${state.epoch}`];
    lines.push(`log ${state.start}..${state.end}, high watermark ${state.highWatermark}`);
    if (state.isr.length) lines.push(`isr ${state.isr.join(",")}${state.proposed.length ? `, proposed ${state.proposed.join(",")}` : ""}`);
    if (state.epochs.length) lines.push(`epochs ${state.epochs.map(([epoch, start]) => `${epoch} from ${start}`).join(", ")}`);
    const offset = Math.floor((x - LEFT) / row.cell) + row.from;
    if (x >= LEFT && offset >= state.start && offset < state.end) {
      const committed = offset < state.highWatermark ? "committed" : "not committed";
      lines.push(`offset ${offset}: epoch ${epochOf(state, offset)}, ${committed}`);
    }
    return lines.join("\n");
  }
}

function epochOf(state, offset) {
  let found = state.epochs.length ? state.epochs[0][0] : state.epoch;
  for (const [epoch, start] of state.epochs) if (start <= offset) found = epoch;
  return found;
}
