"use strict";
// The band above the diagram: the run as a whole.

/** The whole run in one band: acknowledged sends, faults, who led the quorum, violations, and the window that the diagram shows. */
class Overview {
  constructor(canvas, state) {
    this.canvas = canvas;
    this.state = state;
  }

  x(us) {
    return 14 + (us / model.end) * (this.width - 28);
  }

  us(x) {
    return ((x - 14) / (this.width - 28)) * model.end;
  }

  draw() {
    this.width = this.canvas.clientWidth || 900;
    const height = 64;
    const context = fit(this.canvas, this.width, height);
    context.clearRect(0, 0, this.width, height);
    for (const [from, to] of film.faults) {
      context.fillStyle = "rgba(198, 47, 59, .10)";
      context.fillRect(this.x(from), 4, Math.max(1.5, this.x(to) - this.x(from)), 46);
    }
    this.drawSends(context);
    for (const each of model.leadershipsOf.get("quorum") || []) {
      context.fillStyle = nodeColour(each.who);
      context.fillRect(this.x(each.from), 52, Math.max(1, this.x(each.to) - this.x(each.from)), 7);
    }
    for (const event of model.violations) {
      context.fillStyle = "#c62f3b";
      context.fillRect(this.x(event.at) - 1.5, 0, 3, height);
    }
    const left = this.x(this.state.from);
    const right = this.x(this.state.to);
    context.fillStyle = "rgba(60, 102, 196, .14)";
    context.fillRect(left, 1, Math.max(3, right - left), height - 2);
    context.strokeStyle = "#3c66c4";
    context.strokeRect(left + 0.5, 1.5, Math.max(3, right - left - 1), height - 3);
    context.fillStyle = "#d9a400";
    context.fillRect(this.x(this.state.cursor) - 1, 0, 2, height);
  }

  drawSends(context) {
    const bins = Math.max(1, Math.floor((this.width - 28) / 4));
    if (!this.bins || this.bins.length !== bins) {
      this.bins = new Float64Array(bins);
      for (const event of model.events) {
        if (event.what === "client" && event.text.startsWith("send") && / ok$/.test(event.text)) {
          this.bins[Math.min(bins - 1, Math.floor((event.at / model.end) * bins))] += 1;
        }
      }
      this.most = Math.max(1, ...this.bins);
    }
    context.fillStyle = "#7fb797";
    this.bins.forEach((value, index) => {
      const tall = (value / this.most) * 44;
      context.fillRect(14 + index * 4, 50 - tall, 3, tall);
    });
  }
}
