//! Runs the load generator until the program has its subcommand.
use clap::Parser;

fn main() -> std::process::ExitCode {
    oxkeeper::bench::run(&oxkeeper::bench::Args::parse())
}
