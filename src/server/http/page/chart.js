// Lines over time on a canvas: a filled area for the first series, hair lines for the grid, a reading under the pointer.
import { el } from "./parts.js";

const SPAN_MS = 15 * 60 * 1000;
const LEFT = 56, BOTTOM = 20, TOP = 22;

/** The least of 1, 2, 4, 5, 8 times a power of ten, of a unit (1 or a power of 1024), that is not below. */
function round(value, base) {
  if (!(value > 0)) return 1;
  const unit = base ? base ** Math.max(0, Math.floor(Math.log(value) / Math.log(base))) : 1;
  const power = 10 ** Math.floor(Math.log10(value / unit)) * unit;
  return [1, 2, 4, 5, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

export class Chart {
  /** @param series pairs of a name and a colour @param show a value as text @param base of its units, if not ten */
  constructor(holder, series, show, base) {
    Object.assign(this, { holder, series, show, base, times: [], values: series.map(() => []), at: null });
    this.canvas = el("canvas");
    this.tip = el("div", { class: "tip", hidden: "" });
    const legend = series.map(([name, color]) => {
      const dot = el("i");
      dot.style.background = `var(${color.name})`;
      return el("span", {}, dot, name);
    });
    holder.append(this.canvas, el("div", { class: "legend" }, ...legend), this.tip);
    new ResizeObserver(() => this.draw()).observe(holder);
    holder.addEventListener("pointermove", (event) => this.point(event.clientX - holder.getBoundingClientRect().left));
    holder.addEventListener("pointerleave", () => this.point(null));
  }

  set(times, values) {
    Object.assign(this, { times, values });
    this.draw();
  }

  point(x) {
    this.at = x;
    this.draw();
  }

  draw() {
    const { width, height } = this.holder.getBoundingClientRect();
    if (!width) return;
    const ratio = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const css = (name) => style.getPropertyValue(name).trim();
    const end = this.times.length ? this.times[this.times.length - 1] : Date.now();
    const start = Math.max(end - SPAN_MS, Math.min(this.times[0] ?? end, end - 60000));
    const all = this.values.flat().filter((value) => value !== null);
    const high = round(Math.max(...all, 0), this.base);
    const step = high / 4;
    const x = (time) => LEFT + ((width - LEFT - 6) * (time - start)) / (end - start);
    const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / high);

    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = css("--quiet");
    pen.strokeStyle = css("--line");
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (let line = 0; line <= 4; line++) {
      const at = Math.round(y(step * line)) + 0.5;
      pen.beginPath();
      pen.moveTo(LEFT, at);
      pen.lineTo(width - 6, at);
      pen.stroke();
      if (line % 2 === 0) pen.fillText(this.show(step * line).replace(/\.0+(?!\d)|(\.\d*[1-9])0+(?!\d)/, "$1"), LEFT - 8, at);
    }
    this.times_of(start, end, pen, x, height);
    this.values.forEach((values, at) => this.line(pen, values, this.series[at][1].css, at === 0, x, y));
    this.read(pen, x, y, css, height, width);
  }

  times_of(start, end, pen, x, height) {
    const span = end - start;
    const places = Math.min(7, (this.holder.clientWidth - LEFT) / 64);
    const step = [10, 20, 30, 60, 120, 300, 600].map((seconds) => seconds * 1000).find((step) => span / step <= places) ?? 900000;
    pen.textAlign = "center";
    for (let time = Math.ceil(start / step) * step; time <= end; time += step) {
      const at = new Date(time);
      const two = (number) => String(number).padStart(2, "0");
      const text = `${two(at.getHours())}:${two(at.getMinutes())}${step < 60000 ? ":" + two(at.getSeconds()) : ""}`;
      if (x(time) > LEFT + 14 && x(time) < this.holder.clientWidth - 22) pen.fillText(text, x(time), height - BOTTOM / 2 + 2);
    }
  }

  line(pen, values, color, filled, x, y) {
    pen.strokeStyle = color;
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    let begun = null, last = null;
    const close = () => {
      if (begun === null) return;
      pen.stroke();
      if (filled) {
        pen.lineTo(x(this.times[last]), y(0));
        pen.lineTo(x(this.times[begun]), y(0));
        pen.closePath();
        pen.globalAlpha = 0.12;
        pen.fillStyle = color;
        pen.fill();
        pen.globalAlpha = 1;
      }
      begun = null;
    };
    values.forEach((value, at) => {
      if (value === null) return close();
      if (begun === null) {
        pen.beginPath();
        pen.moveTo(x(this.times[at]), y(value));
        begun = at;
      } else {
        pen.lineTo(x(this.times[at]), y(value));
      }
      last = at;
    });
    close();
  }

  read(pen, x, y, css, height, width) {
    this.tip.hidden = this.at === null || !this.times.length;
    if (this.tip.hidden) return;
    const near = this.times.reduce((best, time, at) => (Math.abs(x(time) - this.at) < Math.abs(x(this.times[best]) - this.at) ? at : best), 0);
    const at = x(this.times[near]);
    pen.strokeStyle = css("--quiet");
    pen.beginPath();
    pen.moveTo(Math.round(at) + 0.5, TOP);
    pen.lineTo(Math.round(at) + 0.5, height - BOTTOM);
    pen.stroke();
    this.values.forEach((values, line) => {
      if (values[near] === null) return;
      pen.fillStyle = this.series[line][1].css;
      pen.beginPath();
      pen.arc(at, y(values[near]), 3.2, 0, 7);
      pen.fill();
    });
    const lines = this.series.map(([name], line) => `${name} ${values_of(this.values[line][near], this.show)}`);
    this.tip.replaceChildren(el("b", {}, new Date(this.times[near]).toLocaleTimeString("en-GB")), ` · ${lines.join(" · ")}`);
    const room = this.tip.offsetWidth;
    this.tip.style.left = `${Math.min(Math.max(at - room / 2, LEFT), width - room - 4)}px`;
  }
}

function values_of(value, show) {
  return value === null ? "–" : show(value);
}
