"use strict";
// What the film holds, made ready for questions by time. Times are microseconds.

const film = JSON.parse(document.getElementById("film").textContent);

const NODE_COLOURS = ["#2f6fdb", "#e07a1f", "#2a9d5b", "#8e5bd0", "#c2408f", "#0f9aa8", "#9a8b2c", "#6b7280", "#b4532a"];
const KIND_COLOURS = { raft: "#b08900", control: "#7a5cc4", fetch: "#1f9185", produce: "#d1495b", consume: "#4f83d6", group: "#8a8f99", client: "#a7adb8" };
const LONG_US = 20_000; // A message under way for longer is looked at on its own: it may cross the whole view.

/** The first index whose value is not below `value`. */
function lowerBound(length, valueAt, value) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (valueAt(middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

const model = (() => {
  const nodes = film.lanes.slice(0, film.nodes);
  const clients = film.lanes.slice(film.nodes).filter((name) => /^c\d+$/.test(name));
  clients.sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
  const nodeIndex = new Map(nodes.map((name, index) => [name, index]));
  const end = Math.max(1, film.end_us);

  const count = film.messages.length;
  const sent = new Float64Array(count);
  const arrived = new Float64Array(count);
  const long = [];
  film.messages.forEach((row, index) => {
    sent[index] = row[0];
    arrived[index] = row[1];
    if (row[1] >= 0 && row[1] - row[0] > LONG_US) long.push(index);
  });

  const replicas = new Map(); // subject -> machine -> states
  for (const { subject, who, states } of film.replicas) {
    if (!replicas.has(subject)) replicas.set(subject, new Map());
    replicas.get(subject).set(who, states);
  }
  const subjects = [...replicas.keys()].sort((a, b) => subjectRank(a) - subjectRank(b) || (a < b ? -1 : 1));

  function subjectRank(subject) {
    return subject === "quorum" ? 0 : subject.startsWith("__") ? 2 : 1;
  }

  /** Whether a period that ends at `to` still goes on: those that last to the end of the run do at its end. */
  function within(at, to) {
    return at < to || to === end;
  }

  /** The periods of a machine in which it is not up: [from, to, state]. */
  function outages(machine) {
    const periods = [];
    let state = "down";
    let since = 0;
    for (const [at, next] of film.machines[machine] || []) {
      if (next === state) continue;
      if (state !== "up" && at > since) periods.push([since, at, state]);
      state = next;
      since = at;
    }
    if (state !== "up") periods.push([since, end, state]);
    return periods;
  }
  const outagesOf = new Map(nodes.map((name) => [name, outages(name)]));

  function outageAt(machine, at) {
    return (outagesOf.get(machine) || []).find(([from, to]) => from <= at && within(at, to)) || null;
  }

  /** Who believed when to lead a log: {from, to, who, epoch}. */
  function leaderships(subject) {
    const found = [];
    for (const [who, states] of replicas.get(subject)) {
      const ends = (outagesOf.get(who) || []).filter(([, , state]) => state === "down").map(([from]) => from);
      states.forEach((state, index) => {
        if (state[1] !== "leader") return;
        const next = index + 1 < states.length ? states[index + 1][0] : end;
        const down = ends.find((at) => at > state[0]);
        const to = down !== undefined && down < next ? down : next;
        const last = found[found.length - 1];
        if (last && last.who === who && last.epoch === state[2] && last.to === state[0]) last.to = to;
        else found.push({ from: state[0], to, who, epoch: state[2] });
      });
    }
    found.sort((a, b) => a.epoch - b.epoch || a.from - b.from);
    for (const each of found) {
      const newer = found.filter((other) => other.epoch > each.epoch && other.from < each.to).map((other) => other.from);
      each.staleFrom = newer.length ? Math.max(each.from, Math.min(...newer)) : Infinity;
    }
    return found;
  }
  const leadershipsOf = new Map(subjects.map((subject) => [subject, leaderships(subject)]));

  /** Where a log ends at last. */
  function lastEnd(subject) {
    return Math.max(0, ...[...replicas.get(subject).values()].map((states) => states[states.length - 1][4]));
  }

  function stateAt(subject, who, at) {
    const states = replicas.get(subject)?.get(who);
    if (!states) return null;
    const index = lowerBound(states.length, (place) => states[place][0], at + 1) - 1;
    if (index < 0) return null;
    const [time, role, epoch, start, logEnd, highWatermark, isr, proposed, epochs] = states[index];
    return { time, role, epoch, start, end: logEnd, highWatermark, isr, proposed, epochs };
  }

  /** The leader of a log that has the highest epoch at a time, with its state. */
  function leaderAt(subject, at) {
    let best = null;
    for (const each of leadershipsOf.get(subject)) if (each.from <= at && within(at, each.to) && (!best || each.epoch > best.epoch)) best = each;
    return best;
  }

  const events = film.events.map(([at, lane, what, subject, text], index) => ({
    index, at, who: film.lanes[lane], what: film.texts[what], where: film.subjects[subject], text: film.texts[text],
  }));
  const violations = events.filter((event) => event.what === "VIOLATION");

  function message(index) {
    const [at, arrives, from, to, kind, flags, name, text] = film.messages[index];
    return {
      at, arrives, from: film.lanes[from], to: film.lanes[to], kind: film.kinds[kind],
      isAnswer: (flags & 1) !== 0, idle: (flags & 2) !== 0, name: film.texts[name], text: film.texts[text],
    };
  }

  /** Calls with the index of each message that is under way somewhere in a period. */
  function eachMessage(from, to, call) {
    const first = lowerBound(count, (place) => sent[place], from - LONG_US);
    for (const index of long) {
      if (index >= first) break;
      if (arrived[index] >= from) call(index);
    }
    for (let index = first; index < count && sent[index] <= to; index++) call(index);
  }

  return {
    nodes, clients, nodeIndex, end, sent, arrived, replicas, subjects, outagesOf, outageAt, leadershipsOf, stateAt, leaderAt, lastEnd,
    events, violations, message, eachMessage, messageCount: count,
  };
})();

function nodeColour(name) {
  const index = model.nodeIndex.get(name);
  return index === undefined ? "#8a93a5" : NODE_COLOURS[index % NODE_COLOURS.length];
}

function epochColour(epoch, lightness = 68) {
  return `hsl(${(205 + epoch * 67) % 360} 62% ${lightness}%)`;
}

function seconds(us, digits = 3) {
  return (us / 1e6).toFixed(digits);
}
