// The page of the admin server: asks the server what it knows and draws it. No library, nothing from elsewhere.
import { Chart } from "./chart.js";
import { bytes, clear, count, duration, el, fixed, get, moment, pairs, table } from "./parts.js";
import { startTree } from "./tree.js";

const commands = document.querySelector("meta[name=commands]").content;
const $ = (id) => document.getElementById(id);
const HISTORY_S = 900;
const color = (name) => ({ name, get css() { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); } });

$("host").textContent = location.host;
$("commands-link").href = commands || "/";

// ---- load -------------------------------------------------------------------------------------

const charts = {
  rate: new Chart($("c-rate"), [["requests", color("--blue")], ["replies", color("--teal")]], count),
  latency: new Chart($("c-latency"), [["request", color("--blue")], ["log sync", color("--amber")]], (v) => fixed(v) + " ms"),
  bytes: new Chart($("c-bytes"), [["received", color("--violet")]], bytes, 1024),
  connections: new Chart($("c-connections"), [["connections", color("--blue")], ["in work", color("--amber")]], count),
};
let samples = [];

/** Rates between neighbours; what was reset in between is no rate. */
function rates(later, before) {
  const seconds = (later.at_ms - before.at_ms) / 1000;
  const delta = (name) => later[name] - before[name];
  const each = (name) => (delta(name) >= 0 ? delta(name) / seconds : null);
  const mean = (sum, number) => (delta(number) > 0 && delta(sum) >= 0 ? delta(sum) / delta(number) : null);
  const latency = mean("latency_sum_ms", "latency_count");
  const sync = mean("sync_sum_us", "syncs");
  return {
    at: later.at_ms, requests: each("received"), replies: each("sent"), bytes: each("bytes_received"), latency,
    sync: sync === null ? null : sync / 1000, connections: later.connections, outstanding: later.outstanding,
  };
}

function takeHistory(history) {
  const { columns, rows } = history;
  for (const row of rows) samples.push(Object.fromEntries(columns.map((name, at) => [name, row[at]])));
  samples = samples.slice(-HISTORY_S - 1);
}

function drawLoad() {
  const points = samples.slice(1).map((later, at) => rates(later, samples[at]));
  const series = (...names) => names.map((name) => points.map((point) => point[name]));
  const times = points.map((point) => point.at);
  charts.rate.set(times, series("requests", "replies"));
  charts.latency.set(times, series("latency", "sync"));
  charts.bytes.set(times, series("bytes"));
  charts.connections.set(times, series("connections", "outstanding"));
  if (samples.length < 2) return;
  // Single seconds jump: the figures are those of the last ten.
  const last = samples[samples.length - 1];
  const now = rates(last, samples[Math.max(0, samples.length - 11)]);
  $("t-rate").textContent = count(now.requests);
  $("t-latency").textContent = now.latency === null ? "–" : fixed(now.latency);
  $("t-sync").textContent = now.sync === null ? "–" : fixed(now.sync);
  $("t-outstanding").textContent = count(last.outstanding);
  $("t-connections").textContent = count(last.connections);
}

// ---- who this is ------------------------------------------------------------------------------

function drawHead({ serving, zxid, server_stats: srvr, peer_state: peer }) {
  const stats = srvr.server_stats;
  const mode = $("mode");
  mode.textContent = serving ? stats.server_state : "not serving";
  mode.className = "badge " + (serving ? (stats.server_state === "leader" ? "leader" : "serving") : "down");
  $("peer").textContent = peer ?? "";
  $("zxid").textContent = zxid;
  $("uptime").textContent = duration(stats.uptime);
  $("version").textContent = srvr.version.split("-")[0];
  $("version").title = srvr.version;
  $("t-nodes").textContent = count(srvr.node_count);
  document.title = `${location.host} ${mode.textContent} · Oxkeeper`;
}

function drawEnsemble({ serving, voting_view: view, observers: { observers }, leader, configuration }) {
  const body = clear($("ensemble-body"));
  const voters = Object.entries(view.current_config ?? {});
  if (!voters.length) {
    body.append(el("p", { class: "none" }, serving ? "A standalone server: there are no other members." : "There is no leader; members and roles show once there is one."));
  } else {
    const rows = voters.map(([id, member]) => {
      const leads = Number(id) === leader.leader_id;
      const self = Number(id) === configuration.server_id;
      return [id, leads ? el("span", { class: "star" }, "leader") : "voter", self ? "this server" : "", member.server_addresses.join(", "), member.election_addresses.join(", ")];
    });
    // Only those that learn from this server are known to it, by where they connect from.
    rows.push(...observers.map((observer) => [observer.sid, "observer", "learns from this server", observer.remote_socket_address, ""]));
    body.append(el("div", { class: "scroll" }, table(["id", "role", "", "quorum", "election"], rows)));
  }
  const c = configuration;
  body.append(el("p"), pairs([
    ["tick", `${c.tick_time} ms`], ["session timeouts", `${duration(c.min_session_timeout)} to ${duration(c.max_session_timeout)}`],
    ["client port", c.client_port], ["connections per address", c.max_client_cnxns || "no limit"],
  ]));
}

function drawDisk({ server_stats: srvr, last_snapshot: snapshot, disk, configuration }) {
  const stats = srvr.server_stats;
  const used = disk.total ? 1 - disk.free / disk.total : 0;
  const body = clear($("disk-body"));
  body.append(pairs([
    ["snapshots", bytes(stats.data_dir_size)], ["logs", bytes(stats.log_dir_size)],
    ["newest snapshot", snapshot.timestamp < 0 ? "none yet" : `0x${snapshot.zxid}, ${moment(snapshot.timestamp * 1000)}`],
    ["slow log syncs", count(stats.fsync_threshold_exceed_count)],
    ["folders", [...new Set([configuration.data_dir, configuration.data_log_dir])].join(", ")],
    ["disk", `${bytes(disk.free)} free of ${bytes(disk.total)}`],
  ]), el("div", { class: used > 0.9 ? "meter full" : "meter", title: `${fixed(used * 100)} % used` }, el("i", { style: `width:${used * 100}%` })));
}

// ---- connections ------------------------------------------------------------------------------

const ROWS_MAX = 200;
const COLUMNS = [
  ["remote_socket_address", "client", (v) => v, "mono"], ["session_id", "session", (v) => v ?? "–", "mono"],
  ["last_operation", "last operation"], ["outstanding_requests", "in work", count, "num"], ["packets_received", "received", count, "num"],
  ["packets_sent", "sent", count, "num"], ["avg_latency", "latency mean, ms", count, "num"], ["max_latency", "max", count, "num"],
  ["session_timeout", "timeout", (v) => (v ? duration(v) : "–"), "num"], ["established", "since", moment],
];
let connections = [], sortBy = "packets_received", reversed = false;

function drawConnections() {
  const wanted = $("connections-filter").value.trim().toLowerCase();
  const texts = (one) => `${one.remote_socket_address} ${one.session_id} ${one.last_operation}`.toLowerCase();
  const found = connections.filter((one) => texts(one).includes(wanted));
  const compare = (a, b) => (typeof a === "number" ? b - a : String(a).localeCompare(String(b)));
  found.sort((a, b) => compare(a[sortBy], b[sortBy]) * (reversed ? -1 : 1));
  const falls = reversed === (typeof (found[0]?.[sortBy] ?? 0) !== "number");
  const section = $("connections");
  clear(section.querySelector("thead")).append(el("tr", {}, ...COLUMNS.map(([key, name, , kind]) => {
    const head = el("th", { class: (kind === "num" ? "num " : "") + (key !== sortBy ? "" : falls ? "sorted falls" : "sorted"), "data-key": key }, name);
    head.onclick = () => { reversed = key === sortBy && !reversed; sortBy = key; drawConnections(); };
    return head;
  })));
  clear(section.querySelector("tbody")).append(...found.slice(0, ROWS_MAX).map((one) => el("tr", {}, ...COLUMNS.map(([key, , show, kind]) => el("td", { class: kind ?? "" }, show ? show(one[key]) : one[key])))));
  if (!found.length) section.querySelector("tbody").append(el("tr", {}, el("td", { class: "none", colspan: COLUMNS.length }, connections.length ? "No connection has that." : "Nobody is connected.")));
  $("connections-count").textContent = found.length > ROWS_MAX ? `${ROWS_MAX} of ${count(found.length)}` : count(found.length);
}
$("connections-filter").oninput = drawConnections;

// ---- talkers and watches ----------------------------------------------------------------------

const DIMENSIONS = ["sessions", "addresses", "identities", "prefixes", "operations"];
const MEASURES = [["requests", "requests_per_s", (v) => count(v) + " /s"], ["bytes", "bytes_per_s", (v) => bytes(v) + "/s"], ["time", "time_us_per_s", (v) => fixed(v / 1000) + " ms/s"]];
let dimension = "sessions", measure = 0, top = null;

function choices(holder, names, chosen, choose) {
  clear(holder).append(...names.map((name) => {
    const button = el("button", { type: "button", "aria-pressed": String(name === chosen()) }, name);
    button.onclick = () => { choose(name); drawTalkers(); };
    return button;
  }));
}

function drawTalkers() {
  const body = clear($("talkers-body"));
  choices($("talkers-of"), DIMENSIONS, () => dimension, (name) => { dimension = name; });
  const [name, key] = MEASURES[measure];
  const rows = top?.talkers?.[dimension]?.["by_" + name] ?? [];
  if (top?.refused) body.append(el("p", { class: "denied" }, `${count(top.refused)} requests were refused for a budget or a rate since the start.`));
  if (!rows.length) return void body.append(el("p", { class: "none" }, top ? "Nobody talks." : "This server does not count who talks."));
  const most = Math.max(...rows.map((row) => row[key]), 1e-9);
  const shown = table(["who", ...MEASURES.map(([one]) => one)], rows.slice(0, 12).map((row) => [
    el("div", { class: "bar" }, el("i", { style: `width:${(100 * row[key]) / most}%` }), el("span", { class: "mono" }, row.name + (row.client ? `  ${row.client}` : ""))),
    ...MEASURES.map(([, field, show]) => el("div", { class: "num" }, show(row[field]))),
  ]));
  [...shown.querySelectorAll("th")].slice(1).forEach((head, at) => {
    if (at === measure) head.classList.add("sorted", "falls");
    head.dataset.key = MEASURES[at][0];
    head.onclick = () => { measure = at; drawTalkers(); };
  });
  body.append(el("div", { class: "scroll" }, shown));
}

function drawWatches(summary) {
  const body = clear($("watches-body"));
  body.append(pairs([["watches", count(summary.num_total_watches)], ["watched paths", count(summary.num_paths)], ["connections that have watched", count(summary.num_connections)]]));
  const sessions = top?.watches?.sessions ?? [];
  if (sessions.length) {
    body.append(el("p"), el("div", { class: "scroll" }, table(["session", "client", "paths"], sessions.slice(0, 10).map((one) => [
      el("span", { class: "mono" }, one.session), one.client ?? "–", el("div", { class: "num" }, count(one.paths)),
    ]))));
  }
}

// ---- asking -----------------------------------------------------------------------------------

let since = 0;
async function look() {
  try {
    const now = await get(`api/overview?since=${since}`);
    takeHistory(now.history);
    since = samples.length ? samples[samples.length - 1].at_ms : 0;
    drawHead(now);
    drawLoad();
    drawEnsemble(now);
    drawDisk(now);
    $("trouble").hidden = true;
  } catch (error) {
    $("trouble").textContent = `The server does not answer: ${error.message}`;
    $("trouble").hidden = false;
    $("mode").textContent = "no answer";
    $("mode").className = "badge down";
  }
}

async function lookCloser() {
  try {
    connections = (await get("api/connections")).connections;
    top = await get("api/top").catch(() => null);
    drawConnections();
    drawTalkers();
    drawWatches(await get("api/watches"));
  } catch { /* `look` says it. */ }
}

/** Asks again and again, but not while nobody sees the page. */
function every(ms, ask) {
  const again = async () => {
    if (!document.hidden) await ask();
    setTimeout(again, ms);
  };
  again();
}
every(2000, look);
every(5000, lookCloser);
startTree($);
document.addEventListener("visibilitychange", () => document.hidden || look());
