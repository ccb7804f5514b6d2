//! What is known of the server, and what the person looks at. Pure: answers and keys in, something to draw out.

use crate::admin::top::Top;
use crate::talkers::Measure;
use clap::ValueEnum;
use serde::Serialize;
use std::collections::VecDeque;

/// Points of the history that are kept.
const HISTORY_MAX: usize = 600;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dimension {
    /// Sessions.
    Sessions,
    /// Client addresses.
    Addresses,
    /// What clients have proven to be.
    Identities,
    /// Places in the tree.
    Prefixes,
    /// Operations.
    Operations,
    /// Sessions by the number of paths they watch.
    Watches,
}

impl Dimension {
    /// In the order of their keys.
    pub const ALL: [Dimension; 6] = [
        Dimension::Sessions,
        Dimension::Addresses,
        Dimension::Identities,
        Dimension::Prefixes,
        Dimension::Operations,
        Dimension::Watches,
    ];

    /// Its title.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Sessions => "sessions",
            Dimension::Addresses => "addresses",
            Dimension::Identities => "identities",
            Dimension::Prefixes => "prefixes",
            Dimension::Operations => "operations",
            Dimension::Watches => "watches",
        }
    }
}

/// What happened between two answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Step {
    /// Seconds between them.
    pub seconds: f64,
    /// Packets received each second.
    pub received_per_s: f64,
    /// Packets sent each second.
    pub sent_per_s: f64,
    /// Bytes received each second.
    pub bytes_received_per_s: f64,
    /// Mean latency of the requests answered, ms.
    pub latency_ms: f64,
    /// Requests refused each second, for a budget or a rate.
    pub refused_per_s: f64,
}

/// What is known, and what is looked at.
#[derive(Debug, Clone)]
pub struct Model {
    server: String,
    latest: Option<Top>,
    step: Step,
    /// Packets received each second, the newest last.
    history: VecDeque<u64>,
    dimension: Dimension,
    measure: Measure,
    paused: bool,
    trouble: Option<String>,
}

impl Model {
    /// Nothing is known yet.
    pub fn new(server: String, dimension: Dimension, measure: Measure) -> Self {
        let (latest, step, history, paused, trouble) = (None, Step::default(), VecDeque::new(), false, None);
        Model { server, latest, step, history, dimension, measure, paused, trouble }
    }

    /// The server has answered.
    pub fn take(&mut self, top: Top) {
        self.trouble = None;
        if self.paused {
            return;
        }
        if let Some(step) = self.latest.as_ref().and_then(|before| step(before, &top)) {
            self.step = step;
            self.history.push_back(step.received_per_s.round() as u64);
            if self.history.len() > HISTORY_MAX {
                self.history.pop_front();
            }
        }
        self.latest = Some(top);
    }

    /// The server has not answered. What is known stays to be seen.
    pub fn failed(&mut self, why: String) {
        self.trouble = Some(why);
    }

    /// Whom it shows.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The latest answer, and what happened before it.
    pub fn latest(&self) -> Option<(&Top, Step)> {
        self.latest.as_ref().map(|top| (top, self.step))
    }

    /// Packets received each second, the newest last.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.history.iter().copied()
    }

    /// What is listed.
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// What the list is sorted by.
    pub fn measure(&self) -> Measure {
        self.measure
    }

    /// Whether answers are let go by.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Why there is no newer answer.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Sorts by another measure.
    pub fn sort(&mut self, measure: Measure) {
        self.measure = measure;
    }

    /// Lists something else.
    pub fn show(&mut self, dimension: Dimension) {
        self.dimension = dimension;
    }

    /// So many lists further.
    pub fn turn(&mut self, steps: usize) {
        let at = Dimension::ALL.iter().position(|dimension| *dimension == self.dimension).unwrap_or(0);
        self.dimension = Dimension::ALL[(at + steps) % Dimension::ALL.len()];
    }

    /// Stops the picture, or lets it go on.
    pub fn pause(&mut self) {
        self.paused = !self.paused;
    }
}

/// Nothing between answers of a server that was restarted or whose figures were reset.
fn step(before: &Top, after: &Top) -> Option<Step> {
    let seconds = (after.uptime_ms - before.uptime_ms) as f64 / 1e3;
    if seconds <= 0.0 || after.packets_received < before.packets_received || after.latency.count < before.latency.count
    {
        return None;
    }
    let rate = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
    let answered = after.latency.count - before.latency.count;
    let waited = (after.latency.sum_ms - before.latency.sum_ms).max(0) as f64;
    Some(Step {
        seconds,
        received_per_s: rate(after.packets_received, before.packets_received),
        sent_per_s: rate(after.packets_sent, before.packets_sent),
        bytes_received_per_s: rate(after.bytes_received, before.bytes_received),
        latency_ms: if answered == 0 { 0.0 } else { waited / answered as f64 },
        refused_per_s: rate(after.refused, before.refused),
    })
}

#[cfg(test)]
mod tests {
    use super::super::draw::tests::top;
    use super::*;

    #[test]
    fn two_answers_make_a_step_and_a_restart_makes_none() {
        let mut model = Model::new("here".into(), Dimension::Sessions, Measure::Requests);
        let mut first = top();
        (first.uptime_ms, first.packets_received, first.latency.count, first.latency.sum_ms) = (1_000, 100, 90, 50);
        let mut second = first.clone();
        (second.uptime_ms, second.packets_received, second.latency.count, second.latency.sum_ms) =
            (3_000, 300, 190, 250);
        model.take(first.clone());
        assert_eq!(model.latest().unwrap().1, Step::default());
        model.take(second);
        let step = model.latest().unwrap().1;
        assert_eq!((step.seconds, step.received_per_s, step.latency_ms), (2.0, 100.0, 2.0));
        model.take(first);
        assert_eq!(model.history().collect::<Vec<_>>(), [100], "the counters went back");
    }

    #[test]
    fn keys_turn_the_lists_and_a_pause_keeps_the_picture() {
        let mut model = Model::new("here".into(), Dimension::Sessions, Measure::Requests);
        model.turn(Dimension::ALL.len() - 1);
        assert_eq!(model.dimension(), Dimension::Watches);
        model.turn(1);
        assert_eq!(model.dimension(), Dimension::Sessions);
        model.take(top());
        model.pause();
        let mut later = top();
        later.connections = 4711;
        model.take(later.clone());
        assert_ne!(model.latest().unwrap().0.connections, 4711);
        model.pause();
        model.take(later);
        assert_eq!(model.latest().unwrap().0.connections, 4711);
        model.failed("gone".into());
        assert_eq!(model.trouble(), Some("gone"));
    }
}
