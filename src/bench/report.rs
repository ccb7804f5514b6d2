//! The result of a workload, as a JSON object or a table for people. Knows the numbers, not where they came from.

use super::process::Sample;
use super::stats::{Class, Latencies, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Threads shown.
const THREADS_SHOWN: usize = 6;

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Arithmetic mean.
    pub mean: f64,
    /// Least.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 95 of 100 are not above.
    pub p95: f64,
    /// 99 of 100 are not above.
    pub p99: f64,
    /// 999 of 1000 are not above.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// Greatest.
    pub max: f64,
}

/// One kind of operation.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Operations that succeeded.
    pub ops: u64,
    /// The same by second.
    pub ops_per_s: f64,
    /// How long they took, µs.
    pub latency_us: Latency,
}

/// CPU time and memory of a process over the measured time.
#[derive(Debug, Clone, Serialize)]
pub struct Process {
    /// CPU time for each operation of the headline, µs.
    pub cpu_us_per_op: f64,
    /// The part of it in user mode, µs.
    pub user_us_per_op: f64,
    /// CPU time, in cores.
    pub cpu_cores: f64,
    /// Resident memory before, bytes.
    pub rss_before_bytes: u64,
    /// Resident memory after, bytes.
    pub rss_bytes: u64,
    /// Highest resident memory of its life, bytes.
    pub rss_peak_bytes: u64,
    /// Share of a core by thread name.
    pub threads: BTreeMap<String, f64>,
}

/// A workload's result.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The workload.
    pub workload: String,
    /// Where.
    pub server: String,
    /// Sessions.
    pub sessions: u32,
    /// Requests under way in each.
    pub depth: u32,
    /// Bytes of data.
    pub size: usize,
    /// Measured time, s.
    pub seconds: f64,
    /// All classes of the headline together.
    #[serde(flatten)]
    pub total: Row,
    /// Each class.
    pub classes: BTreeMap<String, Row>,
    /// Error codes.
    pub errors: BTreeMap<String, u64>,
    /// Connections that were lost, or never made.
    pub connections_lost: u64,
    /// Why, for the first.
    pub connection_error: Option<String>,
    /// The server, if its process is known.
    pub server_process: Option<Process>,
    /// This program.
    pub generator: Option<Process>,
    /// What only this workload knows.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

fn row(latencies: &mut Latencies, seconds: f64) -> Row {
    let histogram = latencies.histogram();
    let us = |ns: u64| (ns as f64 / 10.0).round() / 100.0;
    let at = |quantile| us(histogram.value_at_quantile(quantile));
    let latency_us = Latency {
        mean: us(histogram.mean() as u64),
        min: us(histogram.min()),
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: us(histogram.max()),
    };
    Row { ops: histogram.len(), ops_per_s: round(histogram.len() as f64 / seconds), latency_us }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The difference of two samples over `seconds` and `ops`.
pub fn process(before: &Sample, after: &Sample, seconds: f64, ops: u64) -> Process {
    let per_op = |ms: u64| if ops == 0 { 0.0 } else { round(ms as f64 * 1000.0 / ops as f64) };
    let cores = |ms: u64| round(ms as f64 / 1000.0 / seconds);
    Process {
        cpu_us_per_op: per_op(after.cpu_ms().saturating_sub(before.cpu_ms())),
        user_us_per_op: per_op(after.user_ms.saturating_sub(before.user_ms)),
        cpu_cores: cores(after.cpu_ms().saturating_sub(before.cpu_ms())),
        rss_before_bytes: before.rss_bytes,
        rss_bytes: after.rss_bytes,
        rss_peak_bytes: after.rss_peak_bytes,
        threads: after.threads_since(before).into_iter().map(|(name, ms)| (name, cores(ms))).collect(),
    }
}

/// The headline row and the row of each class.
pub fn rows(classes: &[Class], outcome: &mut Outcome, seconds: f64) -> (Row, BTreeMap<String, Row>) {
    let mut all = Latencies::default();
    let mut each = BTreeMap::new();
    for (class, latencies) in classes.iter().zip(&mut outcome.latencies) {
        each.insert(class.name.to_owned(), row(latencies, seconds));
        if class.headline {
            all.add(latencies.clone());
        }
    }
    (row(&mut all, seconds), each)
}

impl Report {
    /// True when nothing went wrong.
    pub fn clean(&self) -> bool {
        self.errors.is_empty() && self.connections_lost == 0
    }

    /// A few lines for people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let Report { workload, sessions, depth, size, seconds, .. } = self;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{workload}: {sessions} sessions, depth {depth}, {size} B, {seconds:.1} s");
        let heads = ["ops/s", "mean", "p50", "p95", "p99", "p99.9", "max µs"];
        let _ = writeln!(out, "  {:<16}{}", "", heads.map(|head| format!("{head:>11}")).concat());
        if self.classes.len() > 1 && self.classes.values().filter(|row| row.ops > 0).count() > 1 {
            for (name, row) in &self.classes {
                line(&mut out, name, row);
            }
        }
        line(&mut out, "all", &self.total);
        for (name, process) in [("server", &self.server_process), ("generator", &self.generator)] {
            if let Some(process) = process {
                usage(&mut out, name, process);
            }
        }
        for (name, value) in &self.more {
            let _ = writeln!(out, "  {:<16} {value}", name.replace('_', " "));
        }
        for (name, count) in &self.errors {
            let _ = writeln!(out, "  ERRORS           {count} x {name}");
        }
        if self.connections_lost > 0 {
            let why = self.connection_error.as_deref().unwrap_or("unknown");
            let _ = writeln!(out, "  CONNECTIONS LOST {} ({why})", self.connections_lost);
        }
        out
    }
}

fn line(out: &mut String, name: &str, row: &Row) {
    let Latency { mean, p50, p95, p99, p999, max, .. } = row.latency_us;
    let cells = [mean, p50, p95, p99, p999, max].map(|value| format!("{value:>11.1}")).concat();
    let _ = writeln!(out, "  {name:<16}{:>11.0}{cells}", row.ops_per_s);
}

fn usage(out: &mut String, name: &str, process: &Process) {
    let Process { cpu_us_per_op, user_us_per_op, cpu_cores, .. } = process;
    let mega = |bytes: u64| bytes as f64 / 1e6;
    let _ = writeln!(
        out,
        "  {name:<16} {cpu_us_per_op:.2} µs CPU for each (user {user_us_per_op:.2}), {cpu_cores:.2} cores, {:.1} MB resident ({:+.1})",
        mega(process.rss_bytes),
        mega(process.rss_bytes) - mega(process.rss_before_bytes),
    );
    let mut threads: Vec<_> = process.threads.iter().collect();
    threads.sort_by(|a, b| b.1.total_cmp(a.1));
    if threads.len() > 1 {
        let shown = threads.iter().take(THREADS_SHOWN).map(|(name, cores)| format!("{name} {:.0} %", *cores * 100.0));
        let _ = writeln!(out, "  {:<16} {}", "", shown.collect::<Vec<_>>().join(", "));
    }
}
