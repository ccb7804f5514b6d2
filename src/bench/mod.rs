//! `oxkeeper bench`: a load generator for any ZooKeeper server, cheap enough to share a machine with what it measures.
//! Knows the wire and the client, nothing of the server's rooms. `args` is the command line, `engine` the loop,
//! `workloads` and `watch` what sessions ask for, `storm` sessions that come and go, `snapshot` reads beside
//! snapshots, `report` the result.

mod args;
mod connection;
mod encode;
mod engine;
mod null;
mod process;
mod progress;
mod report;
mod run;
mod setup;
mod snapshot;
mod stats;
mod storm;
mod watch;
mod workloads;

pub use args::{Args, Workload};
pub use report::Report;

use crate::client::{Error, Options, addresses};
use std::process::ExitCode;

/// Runs the workloads one after the other and prints what was measured. Fails when a server could not be reached, a
/// request failed or a connection was lost.
pub fn run(args: &Args) -> ExitCode {
    let mut clean = true;
    for &workload in &args.workloads {
        match measure(workload, args) {
            Ok(report) => {
                clean &= report.clean();
                print(&report, args.json);
            }
            Err(error) => {
                eprintln!("oxkeeper bench {}: {error}", workload.name());
                return ExitCode::FAILURE;
            }
        }
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string(report).expect("a report is plain data"));
    } else {
        print!("{}", report.table());
    }
}

/// Runs one workload.
pub fn measure(workload: Workload, args: &Args) -> Result<Report, Error> {
    let options = Options { session_timeout: args.timeout, ..Options::default() };
    if workload == Workload::Calibrate {
        let server = null::NullServer::start()?;
        let place = run::Place { addresses: vec![server.address], options };
        return run::bare(workload, args, &place);
    }
    let place = run::Place { addresses: addresses(&args.server)?, options };
    run::run(workload, args, &place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn args(words: &str) -> Args {
        Args::parse_from(["bench", "--quiet", "--warmup", "0"].into_iter().chain(words.split(' ')))
    }

    fn against_null(workload: Workload, words: &str) -> Report {
        let server = null::NullServer::start().unwrap();
        let place = run::Place { addresses: vec![server.address], options: Options::default() };
        run::bare(workload, &args(words), &place).unwrap()
    }

    #[test]
    fn so_many_operations_are_exactly_so_many() {
        let report = against_null(Workload::Mixed, "mixed --ops 1000 --sessions 3 --depth 7 --write-percent 30");
        assert_eq!(report.total.ops, 1000);
        let (get, set) = (report.classes["get"].ops, report.classes["set"].ops);
        assert_eq!(get + set, 1000);
        assert!((200..400).contains(&set), "30 % of 1000 are {set}?");
        assert!(report.clean());
    }

    #[test]
    fn a_lone_request_under_way_is_waited_for_in_the_read() {
        let report = against_null(Workload::Get, "get --ops 100 --sessions 1 --depth 1");
        assert_eq!((report.total.ops, report.connections_lost), (100, 0));
        let report = against_null(Workload::Get, "get --duration 0.2 --sessions 1 --depth 1");
        assert!(report.total.ops > 0 && report.clean());
    }

    #[test]
    fn threads_share_the_sessions() {
        let report = against_null(Workload::Get, "get --ops 100 --sessions 3 --threads 2");
        assert_eq!(report.total.ops, 100);
        assert_eq!(report.connections_lost, 0);
    }

    #[test]
    fn sessions_come_and_go() {
        let report = against_null(Workload::Idle, "idle --sessions 20 --duration 0");
        assert_eq!((report.total.ops, report.connections_lost), (20, 0));
    }

    #[test]
    fn a_storm_opens_and_closes_whole_sessions() {
        let report = against_null(Workload::Connect, "connect --sessions 4 --ops 50");
        let ops = |class: &str| report.classes[class].ops;
        assert_eq!((ops("session"), ops("open"), ops("close"), report.connections_lost), (50, 50, 50, 0));
        assert_eq!(report.total.ops, 50);
    }

    #[test]
    fn a_rate_is_kept() {
        let report = against_null(Workload::Get, "get --duration 0.5 --rate 2000 --sessions 4");
        // Less only where the machine stands still for long; never more.
        assert!((1..=1010).contains(&report.total.ops), "{} operations", report.total.ops);
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        let gone = null::NullServer::start().unwrap().address;
        let args = args(&format!("get --server {gone}"));
        assert!(measure(Workload::Get, &args).is_err());
    }

    #[test]
    fn the_table_and_the_json_show_the_same_run() {
        let report = against_null(Workload::Get, "get --ops 50 --sessions 1");
        let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(json["ops"], 50);
        assert!(json["latency_us"]["p99.9"].as_f64().unwrap() > 0.0);
        assert!(report.table().contains("get: 1 sessions"));
    }
}
