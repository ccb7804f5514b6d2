//! Metrics of the original that count something this server does not have. They are shown as the original shows them where
//! that is not used: 0, or no values.

/// Names, with the reason.
pub const UNUSED: &[(&str, &str)] = &[
    ("add_dead_watcher_stall_time", "watches of a closed connection go at once, none wait for a cleaner"),
    (
        "concurrent_request_processing_in_commit_processor",
        "no pool of workers is emptied for a write; see oxkeeper_gate_wait_seconds",
    ),
    ("dead_watchers_cleaner_latency", "watches of a closed connection go at once"),
    ("dead_watchers_cleared", "watches of a closed connection go at once"),
    ("dead_watchers_queued", "watches of a closed connection go at once"),
    ("insecure_admin_count", "the admin server has no TLS port that takes plain text too"),
    ("jvm_pause_time_ms", "there is no Java machine that pauses"),
    ("learner_handler_qp_size", "packets of a learner are counted in bytes, against one bound"),
    ("learner_handler_qp_time_ms", "no marker packets travel among those of a learner"),
    ("netty_queued_buffer_capacity", "there is no Netty; requests that wait stay in their socket"),
    ("om_commit_process_time_ms", "there is no observer master"),
    ("om_proposal_process_time_ms", "there is no observer master"),
    ("pending_session_queue_size", "requests wait in the lanes of their connections; see oxkeeper_queue_length"),
    ("quit_leading_due_to_disloyal_voter", "a leader without followers waits for initLimit, and no less"),
    ("requests_not_forwarded_to_commit_processor", "requests of learners never take that way"),
    ("response_packet_cache_hits", "answers to getData are as quickly made as found"),
    ("response_packet_cache_misses", "answers to getData are as quickly made as found"),
    ("skip_learner_request_to_next_processor_count", "requests of learners never take that way"),
    ("tls_handshake_exceeded", "there is no TLS"),
    ("unrecoverable_error_count", "such an error ends the process"),
    ("unsuccessful_handshake", "there is no TLS"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Counter, Gauge, Own, Summary};
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    /// Words of the code that counts: everything but the tables themselves and the tests.
    fn words(dir: &Path, out: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "metrics" {
                words(&path, out);
            } else if name.ends_with(".rs") && !name.contains("test") && !path.ends_with("server/promises.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                out.extend(code.split(|c| !is_part(c)).map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_metric_is_counted_somewhere_or_listed_with_the_reason() {
        let mut counted = BTreeSet::new();
        words(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut counted);
        let mut unused: BTreeMap<&str, &str> = UNUSED.iter().copied().collect();
        let names = Gauge::all().map(Gauge::name).chain(Counter::all().map(Counter::name));
        for name in names.chain(Summary::all().map(Summary::name)) {
            let is_counted = counted.contains(&name.to_uppercase());
            let reason = unused.remove(name);
            assert!(
                is_counted != reason.is_some(),
                "{name}: counted {is_counted}, and the reason why not is {reason:?}"
            );
        }
        assert!(unused.is_empty(), "no such metrics: {unused:?}");
        assert!(UNUSED.is_sorted());
        for own in Own::all() {
            let constant = own.name().trim_start_matches("oxkeeper_").to_uppercase();
            assert!(counted.contains(&constant), "{} is counted nowhere", own.name());
        }
    }
}
