// Small parts of the page: elements, numbers, requests.

export async function get(path, headers = {}) {
  const answer = await fetch(path, { headers, cache: "no-store" });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text.trim() || answer.statusText);
  return JSON.parse(text);
}

export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) key === "style" ? (element.style.cssText = value) : element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function clear(element) {
  element.replaceChildren();
  return element;
}

export function table(heads, rows) {
  const cell = (content) => el("td", {}, content ?? "");
  return el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((head, at) => el("th", { class: rows[0]?.[at]?.className === "num" ? "num" : "" }, head)))), el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell)))));
}

export function pairs(entries) {
  return el("dl", { class: "pairs" }, ...entries.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
}

/** Three digits that count. */
export function fixed(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  return size >= 100 ? String(Math.round(value)) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function count(value) {
  if (value === null || value === undefined) return "–";
  if (Math.abs(value) >= 1e7) return fixed(value / 1e6) + " M";
  return Math.abs(value) < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (Math.abs(value) >= 1024 && at < units.length - 1) (value /= 1024), at++;
  return `${at === 0 ? Math.round(value) : fixed(value)} ${units[at]}`;
}

export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  if (ms < 1000) return `${ms} ms`;
  if (seconds < 120) return `${ms % 1000 && seconds < 10 ? (ms / 1000).toFixed(1) : seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function moment(ms) {
  if (!Number(ms)) return "–";
  const at = new Date(Number(ms));
  const two = (number) => String(number).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return at.toDateString() === new Date().toDateString() ? time : `${day} ${time}`;
}
