//! The text of `mntr`: a version, a role, and all readings, in the form of the configured metrics provider.

use super::java_text::{double, mean};
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

pub(super) fn text(view: &View, out: &mut String) {
    put(out, "version", version::FULL);
    put(out, "server_state", view.statistics.mode.name());
    if let Some(peer_state) = &view.statistics.peer_state {
        put(out, "peer_state", peer_state);
    }
    match view.metrics.provider() {
        Provider::None => {}
        Provider::Default => put_default(&view.metrics, out),
        Provider::Prometheus => put_prometheus(&view.metrics, out),
    }
}

fn put(out: &mut String, key: &str, value: &str) {
    writeln!(out, "zk_{key}\t{value}").expect("a string takes everything");
}

/// `a_name` for a key, `name` without one.
fn prefixed(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}_{name}") }
}

/// Whole numbers as such; means with their decimals (`DefaultMetricsProvider`).
fn put_default(readings: &Readings, out: &mut String) {
    for (gauge, key, value) in readings.gauges() {
        let value = match value {
            Number::Integer(value) => value.to_string(),
            Number::Real(value) => double(value),
        };
        put(out, &prefixed(key, gauge.name()), &value);
    }
    for (counter, key, events) in readings.counters() {
        put(out, &prefixed(key, counter.name()), &events.to_string());
    }
    let summaries: Vec<_> = readings.summaries().collect();
    let (with, without): (Vec<_>, Vec<_>) =
        summaries.into_iter().partition(|(summary, ..)| summary.form().has_percentiles());
    for (summary, key, values) in without.into_iter().chain(with) {
        put_default_summary(summary, key, values, out);
    }
}

fn put_default_summary(summary: Summary, key: &str, values: &Distribution, out: &mut String) {
    let name = prefixed(key, summary.name());
    let mut figure = |figure: &str, value: String| put(out, &format!("{figure}_{name}"), &value);
    figure("avg", double(mean(values.sum, values.count)));
    figure("min", values.min().to_string());
    figure("max", values.max().to_string());
    figure("cnt", values.count.to_string());
    figure("sum", values.sum.to_string());
    if summary.form().has_percentiles() {
        for (percentile, quantile) in PERCENTILES {
            figure(percentile, (values.quantile(quantile).unwrap_or(0.0).round() as i64).to_string());
        }
    }
}

/// The sample names of the Prometheus endpoint; every value a double (`PrometheusMetricsProvider`).
fn put_prometheus(readings: &Readings, out: &mut String) {
    for (gauge, key, value) in readings.gauges() {
        put(out, &labelled(gauge.name(), key, None), &double(value.real()));
    }
    for (counter, key, events) in readings.counters() {
        put(out, &labelled(counter.name(), key, None), &double(events as f64));
    }
    for (summary, key, values) in readings.summaries() {
        let name = summary.name();
        for quantile in quantiles(summary) {
            let value = values.ranked(*quantile).unwrap_or(f64::NAN);
            put(out, &labelled(name, key, Some(*quantile)), &double(value));
        }
        put(out, &labelled(&format!("{name}_count"), key, None), &double(values.count as f64));
        put(out, &labelled(&format!("{name}_sum"), key, None), &double(values.sum as f64));
    }
}

/// `name{key="a",quantile="0.5"}`, without the braces when there is nothing between them.
fn labelled(name: &str, key: &str, quantile: Option<f64>) -> String {
    let key = (!key.is_empty()).then(|| format!("key=\"{key}\""));
    let quantile = quantile.map(|quantile| format!("quantile=\"{quantile}\""));
    let labels: Vec<String> = key.into_iter().chain(quantile).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}
