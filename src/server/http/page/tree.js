// The tree browser: reads what the chosen identity may read, a page of children at a time.
import { bytes, clear, count, el, get, moment } from "./parts.js";

const PERMISSIONS = [[1, "read"], [2, "write"], [4, "create"], [8, "delete"], [16, "admin"]];

export function startTree($) {
  let authorization = null;
  let selected = null;
  /** What opens and closes the rows that are there, by path. */
  const toggles = new Map();

  const ask = (path, offset = 0) =>
    get(`api/node?path=${encodeURIComponent(path)}&offset=${offset}`, authorization ? { Authorization: authorization } : {});
  const join = (path, name) => (path === "/" ? "/" + name : `${path}/${name}`);

  /** A node in the tree on the left: its row, and below it its children once it is open. */
  function twig(path, name) {
    const mark = el("u", {}, "▸");
    const row = el("div", { class: "twig", role: "treeitem", tabindex: "0", "data-path": path, "aria-selected": "false" }, mark, el("span", { class: "mono" }, name));
    const item = el("li", {}, row);
    let below = null, opened = null;
    /** Reads the children anew at each opening. */
    const toggle = (wanted) => {
      if (wanted === (below !== null)) return opened;
      mark.textContent = wanted ? "▾" : "▸";
      below?.remove();
      below = wanted ? el("ul", { role: "group" }) : null;
      if (below) item.append(below);
      return (opened = below && extend(path, below, 0, mark));
    };
    toggles.set(path, toggle);
    mark.onclick = (event) => { event.stopPropagation(); toggle(below === null); };
    row.onclick = () => { show(path); toggle(true); };
    row.onkeydown = (event) => {
      if (event.key === "Enter") row.click();
      if (event.key === "ArrowRight") toggle(true);
      if (event.key === "ArrowLeft") toggle(false);
    };
    return { item };
  }

  async function extend(path, below, offset, mark) {
    let node;
    try {
      node = await ask(path, offset);
    } catch (error) {
      below.append(el("li", { class: "none denied" }, error.message));
      return;
    }
    if (!node.readable) return void below.append(el("li", { class: "none denied" }, "may not be read"));
    below.append(...node.children.map((name) => twig(join(path, name), name).item));
    if (!node.children_total) mark.textContent = "·";
    const next = offset + node.children.length;
    if (next < node.children_total) {
      const more = el("li", { class: "more" }, `${count(node.children_total - next)} more`);
      more.onclick = async () => { more.remove(); await extend(path, below, next, mark); };
      below.append(more);
    }
  }

  /** Marks the row of a node, and answers it where it is there. */
  function choose(path) {
    const rows = [...$("branches").querySelectorAll(".twig")];
    for (const row of rows) row.setAttribute("aria-selected", String(row.dataset.path === path));
    return rows.find((row) => row.dataset.path === path);
  }

  async function show(path) {
    selected = path;
    $("path").value = path;
    choose(path);
    const body = $("node");
    try {
      const node = await ask(path);
      if (selected !== path) return;
      draw(clear(body), node);
    } catch (error) {
      if (selected !== path) return;
      clear(body).append(el("p", { class: "path mono" }, path), el("p", { class: "denied" }, error.message));
    }
  }

  function draw(body, node) {
    const stat = node.stat;
    const facts = [
      ["kind", node.kind], ["children", count(stat.num_children)], ["data", bytes(stat.data_length)], ["version", stat.version],
      ["created", `${moment(stat.ctime)} · ${stat.czxid}`], ["modified", `${moment(stat.mtime)} · ${stat.mzxid}`],
      ["children changed", `${count(stat.cversion)} · ${stat.pzxid}`], ["ACL version", stat.aversion],
    ];
    if (node.owner) facts.push(["owner", node.owner]);
    body.append(el("div", { class: "path mono" }, node.path), el("dl", { class: "stat" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value))))));
    body.append(el("h3", {}, "Data"));
    if (!node.readable) body.append(el("p", { class: "denied" }, "This identity may not read the node."));
    else if (node.data === null) body.append(el("p", { class: "none" }, "null"));
    else if (stat.data_length === 0) body.append(el("p", { class: "none" }, "empty"));
    else body.append(el("pre", {}, shown(node.data, node.data_truncated)), node.data_truncated ? el("p", { class: "none" }, `the first bytes of ${bytes(stat.data_length)}`) : "");
    body.append(el("h3", {}, "Access list"));
    if (!node.acl) body.append(el("p", { class: "denied" }, "This identity may not read the list."));
    else body.append(el("dl", { class: "pairs" }, ...node.acl.flatMap(({ scheme, id, perms }) => [
      el("dt", { class: "mono" }, `${scheme}:${id}`),
      el("dd", {}, PERMISSIONS.filter(([bit]) => perms & bit).map(([, name]) => name).join(", ") || "nothing"),
    ])));
  }

  /** Text where it is text, JSON in lines, else bytes as hexadecimal. What was cut may end inside a character. */
  function shown(base64, cut) {
    const raw = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(raw, { stream: cut });
      if (/[\u0000-\u0008\u000e-\u001f]/.test(text)) throw new Error("not for reading");
      return indented(text) ?? text;
    } catch {
      const lines = [];
      for (let at = 0; at < raw.length; at += 16) {
        const part = [...raw.slice(at, at + 16)];
        const codes = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(48);
        lines.push(`${at.toString(16).padStart(6, "0")}  ${codes} ${part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("")}`);
      }
      return lines.join("\n");
    }
  }

  /** Opens the rows above a node, as far as they are among the children that are there. */
  async function reveal(path) {
    for (let at = 0; at >= 0 && selected === path; at = path.indexOf("/", at + 1)) {
      const toggle = toggles.get(path.slice(0, at) || "/");
      if (!toggle) break;
      await toggle(true);
    }
    const row = choose(selected);
    const holder = $("branches");
    if (!row) return;
    const [top, height] = [row.offsetTop - holder.offsetTop, holder.clientHeight];
    if (top < holder.scrollTop || top > holder.scrollTop + height - 30) holder.scrollTop = top - height / 2;
  }

  function go(path) {
    show(path);
    return reveal(path);
  }

  function restart(path) {
    toggles.clear();
    clear($("branches")).append(twig("/", "/").item);
    go(path);
  }

  $("tree-path").onsubmit = (event) => {
    event.preventDefault();
    go($("path").value.trim() || "/");
  };
  $("identity").onsubmit = (event) => {
    event.preventDefault();
    const [scheme, auth] = [$("identity-scheme").value.trim(), $("identity-auth").value];
    authorization = auth ? `${scheme} ${auth}` : null;
    $("identity-shown").textContent = auth ? `${scheme}:${auth.split(":")[0]}` : "anyone";
    $("identity-auth").value = "";
    restart(selected ?? "/");
  };
  restart("/");
}

/** JSON in lines, null for what is none. Numbers keep their digits, and fields their order: the text itself is cut. */
function indented(text) {
  try {
    if (!/^\s*[[{]/.test(text) || typeof JSON.parse(text) !== "object") return null;
  } catch {
    return null;
  }
  const tokens = text.match(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g);
  let out = "", depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  tokens.forEach((token, at) => {
    const closes = /^[\]}]$/.test(token);
    if (closes) depth--;
    if (closes && !/^[[{]$/.test(tokens[at - 1])) out += line();
    out += token[0] === '"' ? JSON.stringify(JSON.parse(token)) : token;
    if (/^[[{]$/.test(token)) depth++;
    if (token === "," || (/^[[{]$/.test(token) && !/^[\]}]$/.test(tokens[at + 1]))) out += line();
    if (token === ":") out += " ";
  });
  return out;
}
