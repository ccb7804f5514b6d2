//! A quarter of an hour of figures, a row each second, so that whoever opens the page sees what was before. What counts
//! up is kept as it counts: the differences are the reader's.

use super::Shared;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rows that are kept.
const ROWS_MAX: usize = 900;
/// Between two rows.
const PACE: Duration = Duration::from_secs(1);

/// The names of a row's figures.
const COLUMNS: [&str; 10] = [
    "at_ms",
    "received",
    "sent",
    "bytes_received",
    "latency_sum_ms",
    "latency_count",
    "syncs",
    "sync_sum_us",
    "connections",
    "outstanding",
];

/// A row: the time in ms since the Unix epoch, then figures in the order of [`COLUMNS`].
pub type Row = [i64; COLUMNS.len()];

/// The rows, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<Row>>);

impl History {
    pub(super) fn push(&self, row: Row) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() == ROWS_MAX {
            rows.pop_front();
        }
        rows.push_back(row);
    }

    /// The rows after a time.
    pub(super) fn since(&self, at_ms: i64) -> Value {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<&Row> = rows.iter().filter(|row| row[0] > at_ms).collect();
        json!({ "columns": COLUMNS, "rows": rows })
    }
}

/// Takes a row each second, once there is a server.
pub(super) async fn record(shared: Arc<Shared>) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        pace.tick().await;
        if let Some(running) = shared.running.get() {
            shared.history.push(running.words.pulse().await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at_ms: i64) -> Row {
        let mut row = [7; COLUMNS.len()];
        row[0] = at_ms;
        row
    }

    #[test]
    fn only_what_is_new_is_told_and_old_rows_go() {
        let history = History::default();
        for at_ms in 1..=ROWS_MAX as i64 + 5 {
            history.push(row(at_ms));
        }
        let told = |since| history.since(since)["rows"].as_array().unwrap().len();
        assert_eq!((told(0), told(ROWS_MAX as i64), told(i64::MAX)), (ROWS_MAX, 5, 0));
        assert_eq!(history.since(ROWS_MAX as i64 + 4)["rows"][0][1], 7);
        assert_eq!(history.since(0)["columns"].as_array().unwrap().len(), COLUMNS.len());
    }
}
