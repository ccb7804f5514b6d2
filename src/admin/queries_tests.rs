//! The dashboard and the alert rules of `conf/` may name only what the page of metrics shows.

use super::process::Process;
use super::prometheus::text;
use super::prometheus_tests::everything;
use std::collections::BTreeSet;

/// Words of the query language that are no metrics; functions and aggregations have a bracket behind them.
const WORDS: &[&str] =
    &["by", "on", "and", "or", "unless", "without", "ignoring", "group_left", "group_right", "bool", "offset"];
/// What Prometheus itself says of a target.
const FROM_PROMETHEUS: &[&str] = &["up"];

/// Names of the samples that a query asks for.
fn samples_of(query: &str) -> BTreeSet<String> {
    // Labels and ranges name no metrics.
    let (mut bare, mut depth) = (String::new(), 0);
    for c in query.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            c if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let (mut names, mut rest, mut labels) = (BTreeSet::new(), &*bare, false);
    while let Some(at) = rest.find(is_part) {
        labels &= !rest[..at].contains(')');
        let word = &rest[at..rest[at..].find(|c| !is_part(c)).map_or(rest.len(), |end| at + end)];
        rest = &rest[at + word.len()..];
        let opens = ["(", "by ", "without "].iter().any(|next| rest.trim_start().starts_with(next));
        if ["by", "on", "without", "ignoring"].contains(&word) {
            labels = true;
        } else if !labels && !opens && !WORDS.contains(&word) && !word.starts_with(|c: char| c.is_ascii_digit()) {
            names.insert(word.to_owned());
        }
    }
    names
}

fn shown() -> BTreeSet<String> {
    let text = text(&everything(), Some(&Process::this()));
    let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .chain(FROM_PROMETHEUS.iter().copied())
        .map(str::to_owned)
        .collect()
}

fn check(of: &str, query: &str, shown: &BTreeSet<String>) {
    let names = samples_of(query);
    assert!(!names.is_empty(), "{of} asks for nothing: {query}");
    let unknown: Vec<_> = names.difference(shown).collect();
    assert!(unknown.is_empty(), "{of} names {unknown:?}, which nobody shows: {query}");
}

#[test]
fn queries_are_read() {
    let names = |query| samples_of(query).into_iter().collect::<Vec<_>>();
    assert_eq!(
        names(r#"sum by (le, instance) (rate(a_bucket{x="b"}[5m])) / on (job) b_total > 0.5"#),
        ["a_bucket", "b_total"]
    );
    assert_eq!(names("count(a) or vector(0)"), ["a"]);
    assert_eq!(names("a unless count by (job) (b)"), ["a", "b"]);
}

#[test]
fn the_dashboard_names_only_what_is_shown() {
    let dashboard: serde_json::Value = serde_json::from_str(include_str!("../../conf/grafana-dashboard.json")).unwrap();
    let shown = shown();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            check(title, target["expr"].as_str().unwrap(), &shown);
            queries += 1;
        }
    }
    assert!(queries > 40, "{queries} queries");
}

#[test]
fn the_alert_rules_name_only_what_is_shown() {
    let shown = shown();
    let rules: Vec<&str> = include_str!("../../conf/prometheus-alerts.yml").split("- alert: ").skip(1).collect();
    assert!(rules.len() > 10, "{} rules", rules.len());
    for rule in rules {
        let name = rule.lines().next().unwrap();
        let query = rule
            .lines()
            .find_map(|line| line.trim().strip_prefix("expr: "))
            .unwrap_or_else(|| panic!("{name} has no query"));
        check(name, query, &shown);
        for part in ["labels: { severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
    }
}
