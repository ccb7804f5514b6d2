//! What `mntr` shows: a version, a role, and all readings, in the form of the configured metrics provider; as text for
//! the word, as JSON for the admin server.

use super::java_text::{double, mean};
use super::json::Fields;
use super::version;
use super::view::View;
use crate::metrics::{Distribution, Number, Provider, Readings, Summary};
use std::fmt::Write as _;

/// Percentiles that the default provider shows.
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)];

/// Quantiles of a summary that the Prometheus provider shows.
pub(super) fn quantiles(summary: Summary) -> &'static [f64] {
    if summary.form().has_percentiles() { &[0.5, 0.9, 0.99] } else { &[0.5] }
}

/// A value as the providers show it.
enum Shown {
    Text(String),
    Number(Number),
}

pub(super) fn text(view: &View, out: &mut String) {
    for (key, value) in entries(view) {
        let value = match value {
            Shown::Text(text) => text,
            Shown::Number(Number::Integer(value)) => value.to_string(),
            Shown::Number(Number::Real(value)) => double(value),
        };
        writeln!(out, "zk_{key}\t{value}").expect("a string takes everything");
    }
}

/// Numbers as such; Jackson writes what is no number as text.
pub(super) fn json(view: &View, out: &mut Fields) {
    for (key, value) in entries(view) {
        let value = match value {
            Shown::Text(text) => text.into(),
            Shown::Number(Number::Integer(value)) => value.into(),
            Shown::Number(Number::Real(value)) if value.is_finite() => value.into(),
            Shown::Number(Number::Real(value)) => double(value).into(),
        };
        out.insert(key, value);
    }
}

fn entries(view: &View) -> Vec<(String, Shown)> {
    let mut out = Vec::new();
    let mut said = |key: &str, value: &str| out.push((key.to_owned(), Shown::Text(value.to_owned())));
    said("version", version::FULL);
    said("server_state", view.statistics.mode.name());
    if let Some(peer_state) = &view.statistics.peer_state {
        said("peer_state", peer_state);
    }
    match view.metrics.provider() {
        Provider::None => {}
        Provider::Default => put_default(&view.metrics, &mut out),
        Provider::Prometheus => put_prometheus(&view.metrics, &mut out),
    }
    out
}

fn put(out: &mut Vec<(String, Shown)>, key: String, value: impl Into<Number>) {
    out.push((key, Shown::Number(value.into())));
}

/// `a_name` for a key, `name` without one.
fn prefixed(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}_{name}") }
}

/// Whole numbers as such; means with their decimals (`DefaultMetricsProvider`).
fn put_default(readings: &Readings, out: &mut Vec<(String, Shown)>) {
    for (gauge, key, value) in readings.gauges() {
        put(out, prefixed(key, gauge.name()), value);
    }
    for (counter, key, events) in readings.counters() {
        put(out, prefixed(key, counter.name()), events);
    }
    let summaries: Vec<_> = readings.summaries().collect();
    let (with, without): (Vec<_>, Vec<_>) =
        summaries.into_iter().partition(|(summary, ..)| summary.form().has_percentiles());
    for (summary, key, values) in without.into_iter().chain(with) {
        put_default_summary(summary, key, values, out);
    }
}

fn put_default_summary(summary: Summary, key: &str, values: &Distribution, out: &mut Vec<(String, Shown)>) {
    let name = prefixed(key, summary.name());
    put(out, format!("avg_{name}"), mean(values.sum(), values.count()));
    let mut figure = |figure: &str, value: i64| put(out, format!("{figure}_{name}"), value);
    figure("min", values.min());
    figure("max", values.max());
    figure("cnt", values.count() as i64);
    figure("sum", values.sum());
    if summary.form().has_percentiles() {
        for (percentile, quantile) in PERCENTILES {
            figure(percentile, values.quantile(quantile).unwrap_or(0.0).round() as i64);
        }
    }
}

/// The sample names of the Prometheus endpoint; every value a double (`PrometheusMetricsProvider`).
fn put_prometheus(readings: &Readings, out: &mut Vec<(String, Shown)>) {
    for (gauge, key, value) in readings.gauges() {
        put(out, labelled(gauge.name(), key, None), value.real());
    }
    for (counter, key, events) in readings.counters() {
        put(out, labelled(counter.name(), key, None), events as f64);
    }
    for (summary, key, values) in readings.summaries() {
        let name = summary.name();
        for quantile in quantiles(summary) {
            let value = values.ranked(*quantile).unwrap_or(f64::NAN);
            put(out, labelled(name, key, Some(*quantile)), value);
        }
        put(out, labelled(&format!("{name}_count"), key, None), values.count() as f64);
        put(out, labelled(&format!("{name}_sum"), key, None), values.sum() as f64);
    }
}

/// `name{key="a",quantile="0.5"}`, without the braces when there is nothing between them.
fn labelled(name: &str, key: &str, quantile: Option<f64>) -> String {
    let key = (!key.is_empty()).then(|| format!("key=\"{key}\""));
    let quantile = quantile.map(|quantile| format!("quantile=\"{quantile}\""));
    let labels: Vec<String> = key.into_iter().chain(quantile).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}
