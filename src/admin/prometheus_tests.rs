//! The page of metrics against families scraped from the original.

use super::process::{ABSENT, Process};
use super::prometheus::{filtered, text};
use crate::metrics::{self, Counter, Gauge, Own, OwnKind, Provider, Readings, Summary};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What a family looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shape {
    kind: String,
    labels: BTreeSet<String>,
    quantiles: BTreeSet<String>,
    help: String,
}

/// Reads the text format, strictly: each sample belongs to the family whose head stands before it.
fn families(text: &str) -> BTreeMap<String, Shape> {
    let (mut all, mut current) = (BTreeMap::<String, Shape>::new(), String::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(head) = line.strip_prefix("# HELP ") {
            let (name, help) = head.split_once(' ').unwrap();
            assert!(!all.contains_key(name), "{name} is there twice");
            all.insert(name.to_owned(), Shape { help: help.to_owned(), ..Shape::default() });
            name.clone_into(&mut current);
        } else if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').unwrap();
            assert_eq!(name, current, "the type stands behind the help");
            kind.clone_into(&mut all.get_mut(name).unwrap().kind);
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let suffix = name.strip_prefix(&*current).unwrap_or_else(|| panic!("{line} behind the head of {current}"));
            assert!(["", "_count", "_sum", "_bucket"].contains(&suffix), "{line}");
            let shape = all.get_mut(&current).unwrap();
            for label in labels.strip_suffix('}').unwrap().split("\",").filter(|label| !label.is_empty()) {
                let (label, value) = label.trim_end_matches('"').split_once("=\"").unwrap();
                match label {
                    "quantile" => drop(shape.quantiles.insert(value.to_owned())),
                    "le" => {}
                    label => drop(shape.labels.insert(label.to_owned())),
                }
            }
        }
    }
    all
}

/// Everything there is, with one reading each.
pub(super) fn everything() -> Readings {
    let mut readings = Readings::new(Provider::Prometheus);
    for gauge in Gauge::all() {
        match gauge.form().is_keyed() {
            true => readings.set_for(gauge, "a", 1),
            false => readings.set(gauge, 1),
        }
    }
    for counter in Counter::all() {
        match counter.form().is_keyed() {
            true => readings.add_for(counter, "a", 1),
            false => readings.add(counter, 1),
        }
    }
    for summary in Summary::all() {
        match summary.form().is_keyed() {
            true => readings.record_for(summary, "a", 1),
            false => readings.record(summary, 1),
        }
    }
    for own in Own::all().filter(|own| *own != metrics::BUILD_INFO) {
        let key = own.label().map_or("", |_| "a");
        match own.kind() {
            OwnKind::Histogram => readings.observe(own, key, 60, 1),
            OwnKind::Counter | OwnKind::Gauge => readings.set_own(own, key, 1.0),
        }
    }
    readings
}

fn captured() -> BTreeMap<String, Shape> {
    let list = |text: &str| text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let rows = include_str!("testdata/families.tsv").lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let [name, kind, labels, quantiles, _] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let help = name.to_owned();
        (name.to_owned(), Shape { kind: kind.to_owned(), labels: list(labels), quantiles: list(quantiles), help })
    })
    .collect()
}

#[test]
fn every_family_of_the_original_is_there_or_listed_with_the_reason() {
    let ours = families(&text(&everything(), Some(&Process::this())));
    let mut absent: BTreeMap<&str, &str> = ABSENT.iter().copied().collect();
    assert_eq!(absent.len(), ABSENT.len(), "each once");
    for (name, theirs) in captured() {
        let Some(ours) = ours.get(&name) else {
            assert!(
                absent.remove(&*name).is_some_and(|reason| !reason.is_empty()),
                "{name} is missing without a reason"
            );
            continue;
        };
        assert_eq!(
            (&ours.kind, &ours.labels, &ours.quantiles),
            (&theirs.kind, &theirs.labels, &theirs.quantiles),
            "{name}"
        );
        if !name.starts_with("process_") && !name.starts_with("jvm_") {
            assert_eq!(ours.help, theirs.help, "{name}");
        }
    }
    assert!(absent.is_empty(), "listed as absent, and not of the original: {absent:?}");
    let captured = captured();
    // On a leader the original registers it too, and the captured one had no sync to show yet.
    let beyond: Vec<_> = ours.keys().filter(|name| !captured.contains_key(*name)).collect();
    assert!(beyond.iter().all(|name| name.starts_with("oxkeeper_")), "{beyond:?}");
    for own in Own::all() {
        assert_eq!(ours[own.name()].help, own.help());
        assert_eq!(ours[own.name()].labels, own.label().map(str::to_owned).into_iter().collect());
    }
}

#[test]
fn without_readings_only_gauges_are_missing() {
    let ours = families(&text(&Readings::new(Provider::Prometheus), None));
    let gauges: HashSet<&str> = Gauge::all().filter(|gauge| !gauge.form().is_keyed()).map(Gauge::name).collect();
    for name in captured().into_keys().filter(|name| !name.starts_with("process_") && !name.starts_with("jvm_")) {
        assert_eq!(ours.contains_key(&name), !gauges.contains(&*name), "{name}");
    }
    // The original's own summary of pauses has nothing to do with what is exported of the process.
    let of_process = |name: &&String| name.starts_with("process_") || name.starts_with("jvm_");
    assert_eq!(ours.keys().filter(of_process).collect::<Vec<_>>(), ["jvm_pause_time_ms"]);
}

#[test]
fn values_are_the_readings() {
    let mut readings = Readings::new(Provider::Prometheus);
    readings.add(metrics::RESPONSE_BYTES, 123);
    readings.set(metrics::AVG_LATENCY, 0.5);
    for latency in [1, 2, 3, 40] {
        readings.record(metrics::READLATENCY, latency);
    }
    readings.record(metrics::INFLIGHT_SNAP_COUNT, 2);
    readings.record_for(metrics::READ_PER_NAMESPACE, r#"we"ird\"#, 9);
    readings.observe(metrics::GATE_WAIT_SECONDS, "writer", 150, 2);
    readings.set_own(metrics::QUEUE_LENGTH, "log", 7.0);
    let text = text(&readings, None);
    for line in [
        "response_bytes 123",
        "avg_latency 0.5",
        r#"readlatency{quantile="0.5"} 2"#,
        r#"readlatency{quantile="0.9"} 40"#,
        "readlatency_count 4",
        "readlatency_sum 46",
        "inflight_snap_count_count 1",
        r#"updatelatency{quantile="0.99"} NaN"#,
        r#"read_per_namespace_sum{key="we\"ird\\"} 9"#,
        r#"oxkeeper_gate_wait_seconds_bucket{side="writer",le="0.0001"} 0"#,
        r#"oxkeeper_gate_wait_seconds_bucket{side="writer",le="0.0002"} 2"#,
        r#"oxkeeper_gate_wait_seconds_bucket{side="writer",le="+Inf"} 2"#,
        r#"oxkeeper_gate_wait_seconds_sum{side="writer"} 0.0003"#,
        r#"oxkeeper_queue_length{queue="log"} 7"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
}

/// Two namespaces that a client may make up must not become one.
#[test]
fn keys_stay_apart() {
    let mut readings = Readings::new(Provider::Prometheus);
    let keys = ["a", "a\\", "a\"", "a\\\"", "a\\\\", "a\\n", "a\n"];
    for key in keys {
        readings.add_for(metrics::QUOTA_EXCEEDED_ERROR_PER_NAMESPACE, key, 1);
        readings.record_for(metrics::READ_PER_NAMESPACE, key, 1);
    }
    let text = text(&readings, None);
    for family in ["quota_exceeded_error_per_namespace{", "read_per_namespace_sum{"] {
        let found: HashSet<&str> = text.lines().filter(|line| line.starts_with(family)).collect();
        assert_eq!(found.len(), keys.len(), "{found:?}");
    }
}

/// Asked of the original: names are those of samples, not of families.
#[test]
fn a_scrape_may_name_samples() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
    let all = text(&everything(), None);
    assert_eq!(filtered(all.clone(), &names(&[])), all);
    assert_eq!(
        filtered(all.clone(), &names(&["readlatency_count"])),
        "# HELP readlatency readlatency\n# TYPE readlatency summary\nreadlatency_count 1\n"
    );
    assert_eq!(filtered(all.clone(), &names(&["readlatency"])).lines().count(), 5);
    assert_eq!(
        filtered(all.clone(), &names(&["uptime", "nope"])),
        "# HELP uptime uptime\n# TYPE uptime gauge\nuptime 1\n"
    );
    assert_eq!(filtered(all, &names(&[""])), "");
}
