//! Readings in the text format of Prometheus, as the original's exporter names and types them
//! (`org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider`), with families of our own behind.
//!
//! Counters and gauges go through the `metrics` facade into a recorder of the exporter that lives for this one text: a gauge
//! that is gone, a follower's or a leader's, is then gone here too. Summaries and histograms are put together from what the
//! threads have counted, and written with the exporter's formatting: its own ones want each value on the hot path, and have the
//! same quantiles for all.

use super::monitor::quantiles;
use super::process::Process;
use super::version;
use crate::metrics::{self as table, Counter, Distribution, Form, Gauge, OwnKind, Readings, Summary};
use ::metrics::{counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::formatting::{sanitize_label_value, write_help_line, write_type_line};
use std::collections::HashSet;
use std::fmt::Write as _;

/// What `Content-Type` says of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The label of the original's keyed families.
const KEY: &str = "key";

/// Renders readings. The process is shown where the operator wants it (`metricsProvider.exportJvmInfo`).
pub fn text(readings: &Readings, process: Option<&Process>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || put_plain(readings, process));
    let mut out = recorder.handle().render();
    put_empty_families(readings, &mut out);
    put_summaries(readings, &mut out);
    put_histograms(readings, &mut out);
    if let Some(process) = process {
        // The facade's counters are whole numbers.
        put_head("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", "counter", &mut out);
        put_line("process_cpu_seconds_total", &[], process.cpu_seconds, &mut out);
    }
    out
}

/// Keeps the samples with these names, as the parameter `name[]` asks; none given, all stay
/// (`io.prometheus.client.exporter.MetricsServlet`).
pub fn filtered(text: String, names: &HashSet<String>) -> String {
    if names.is_empty() {
        return text;
    }
    let (mut out, mut head) = (String::new(), String::new());
    for line in text.lines() {
        if line.starts_with("# HELP") {
            head.clear();
        }
        if line.starts_with('#') {
            let _ = writeln!(head, "{line}");
        } else if let Some((name, _)) = line.split_once(['{', ' '])
            && names.contains(name)
        {
            out.push_str(&std::mem::take(&mut head));
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

fn put_plain(readings: &Readings, process: Option<&Process>) {
    for (metric, key, value) in readings.gauges() {
        describe_gauge!(metric.name(), metric.name());
        match key {
            "" => gauge!(metric.name()).set(value.real()),
            key => gauge!(metric.name(), KEY => escaped(key)).set(value.real()),
        }
    }
    for (metric, key, events) in readings.counters() {
        let events = u64::try_from(events).unwrap_or(0);
        describe_counter!(metric.name(), metric.name());
        match key {
            "" => counter!(metric.name()).absolute(events),
            key => counter!(metric.name(), KEY => escaped(key)).absolute(events),
        }
    }
    for (own, key, value) in readings.own() {
        let labels: Vec<(&str, String)> = own.label().map(|label| (label, escaped(key))).into_iter().collect();
        if own.kind() == OwnKind::Counter {
            describe_counter!(own.name(), own.help());
            counter!(own.name(), &labels).absolute(value as u64);
        } else {
            describe_gauge!(own.name(), own.help());
            gauge!(own.name(), &labels).set(value);
        }
    }
    describe_gauge!(table::BUILD_INFO.name(), table::BUILD_INFO.help());
    gauge!(table::BUILD_INFO.name(), "version" => version::OXKEEPER).set(1.0);
    for (name, help, area, value) in process.into_iter().flat_map(Process::gauges) {
        describe_gauge!(name, help);
        match area {
            None => gauge!(name).set(value),
            Some(area) => gauge!(name, "area" => area).set(value),
        }
    }
}

/// The original prints the head of a family that has keys also while it has none of them.
fn put_empty_families(readings: &Readings, out: &mut String) {
    let gauges: HashSet<Gauge> = readings.gauges().map(|(gauge, ..)| gauge).collect();
    let counters: HashSet<Counter> = readings.counters().map(|(counter, ..)| counter).collect();
    for gauge in Gauge::all().filter(|gauge| gauge.form().is_keyed() && !gauges.contains(gauge)) {
        put_head(gauge.name(), gauge.name(), "gauge", out);
    }
    for counter in Counter::all().filter(|counter| counter.form().is_keyed() && !counters.contains(counter)) {
        put_head(counter.name(), counter.name(), "counter", out);
    }
}

fn put_summaries(readings: &Readings, out: &mut String) {
    let all: Vec<(Summary, &str, &Distribution)> = readings.summaries().collect();
    for summary in Summary::all() {
        put_head(summary.name(), summary.name(), "summary", out);
        for (_, key, values) in all.iter().filter(|(of, ..)| *of == summary) {
            put_summary(summary, key, values, out);
        }
    }
}

fn put_summary(summary: Summary, key: &str, values: &Distribution, out: &mut String) {
    let mut labels = match summary.form() {
        Form::Plain | Form::Percentiles => Vec::new(),
        Form::Keyed | Form::KeyedPercentiles => vec![(KEY, escaped(key))],
    };
    let name = summary.name();
    for quantile in quantiles(summary) {
        labels.push(("quantile", quantile.to_string()));
        put_line(name, &labels, values.ranked(*quantile).unwrap_or(f64::NAN), out);
        labels.pop();
    }
    // The exporter's suffixes leave out what a name ends with already, and `snap_count` is such a name.
    put_line(&format!("{name}_count"), &labels, values.count() as f64, out);
    put_line(&format!("{name}_sum"), &labels, values.sum() as f64, out);
}

fn put_histograms(readings: &Readings, out: &mut String) {
    let mut before = None;
    for (own, key, histogram) in readings.histograms() {
        if before != Some(own) {
            put_head(own.name(), own.help(), "histogram", out);
            before = Some(own);
        }
        let mut labels: Vec<(&str, String)> = own.label().map(|label| (label, escaped(key))).into_iter().collect();
        let bucket = format!("{}_bucket", own.name());
        for (bound, count) in histogram.cumulative() {
            labels.push(("le", bound.to_string()));
            put_line(&bucket, &labels, count as f64, out);
            labels.pop();
        }
        labels.push(("le", "+Inf".into()));
        put_line(&bucket, &labels, histogram.count() as f64, out);
        labels.pop();
        put_line(&format!("{}_sum", own.name()), &labels, histogram.sum(), out);
        put_line(&format!("{}_count", own.name()), &labels, histogram.count() as f64, out);
    }
}

fn put_head(name: &str, help: &str, kind: &str, out: &mut String) {
    write_help_line(out, name, None, None, help);
    write_type_line(out, name, None, None, kind);
}

fn put_line(name: &str, labels: &[(&str, String)], value: f64, out: &mut String) {
    let labels: Vec<String> =
        labels.iter().map(|(label, value)| format!("{label}=\"{}\"", sanitize_label_value(value))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(out, "{name}{labels} {value}");
}

/// The exporter takes what looks escaped as escaped: two namespaces could become one, so it never meets a bare one.
fn escaped(key: &str) -> String {
    key.replace('\\', "\\\\").replace('"', "\\\"")
}
