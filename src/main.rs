//! The `oxkeeper` program: arguments, logging, signals, exit codes.

use clap::Parser;
use oxkeeper::admin::version::BANNER;
use oxkeeper::config::{Config, SystemProperties};
use oxkeeper::server::{Server, ServerError};
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USAGE: &str = "\
Usage: oxkeeper [-Dkey=value ...]                        a standalone server on 127.0.0.1:2181, data under ./data
       oxkeeper [server] zoo.cfg [-Dkey=value ...]       a server with this configuration, in the foreground
       oxkeeper [server] port dataDir [tickTime] [maxClientCnxns]
       oxkeeper dev [--servers 3]                        an ensemble on this machine; oxkeeper dev --help says more
       oxkeeper cli [-server host:port] [command]        ZooKeeper's shell; oxkeeper cli --help says more
       oxkeeper 4lw host port word                       asks a server a four-letter word
       oxkeeper top [host:port]                          who loads a server, live; --once --format json for scripts
       oxkeeper bench --help                             the load generator
       oxkeeper TOOL --help                              tools for data folders: snapshot, txnlog, doctor, backup,
                                                         restore, verify, purge, init
       oxkeeper version

Environment: SERVER_JVMFLAGS, JVMFLAGS (their -D words count, the rest is for a JVM and is ignored),
             OXKEEPER_LOG (error, warn, info, debug, trace, or a filter such as info,oxkeeper::store=debug),
             OXKEEPER_LOG_FORMAT (text, json)
";

fn main() -> ExitCode {
    let environment = |name: &str| std::env::var(name).ok();
    let arguments = std::env::args().skip(1);
    let flags = (environment("SERVER_JVMFLAGS"), environment("JVMFLAGS"));
    let first = std::env::args().nth(1);
    match first.as_deref() {
        Some("-h" | "--help" | "help") => say(USAGE),
        Some("version") if std::env::args().nth(2).as_deref() == Some("zookeeper") => say(BANNER),
        Some("-V" | "--version" | "version") => say(concat!("oxkeeper ", env!("CARGO_PKG_VERSION"), "\n")),
        Some("cli") => ExitCode::from(oxkeeper::cli::run(std::env::args().skip(2), environment)),
        Some("4lw") => ExitCode::from(oxkeeper::cli::four_letter::run(std::env::args().skip(2))),
        Some("dev") => oxkeeper::dev::run(std::env::args().skip(1)),
        Some("top") => ExitCode::from(oxkeeper::top::run(std::env::args().skip(1))),
        Some("bench") => oxkeeper::bench::run(&oxkeeper::bench::Args::parse_from(std::env::args().skip(1))),
        Some(word) if oxkeeper::tools::knows(word) => oxkeeper::tools::run(std::env::args()),
        _ => {
            let (system, mut words) = SystemProperties::collect(arguments, flags.0.as_deref(), flags.1.as_deref());
            if words.first().is_some_and(|word| word == "server") {
                words.remove(0);
            }
            serve(&words, &system)
        }
    }
}

fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A failed write to the terminal is no reason to stop a server: `eprintln!` would panic.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn serve(words: &[String], system: &SystemProperties) -> ExitCode {
    oxkeeper::dev::end_with_parent();
    log_to_stdout();
    let config = if words.is_empty() { Config::embedded(system) } else { Config::from_arguments(words, system) };
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            complain(&format!("{error}\nInvalid config, exiting abnormally"));
            return ExitCode::from(error.exit_code());
        }
    };
    config.log_notes();
    if std::env::var_os(oxkeeper::server::DISK_WAS_FULL).is_some() {
        wait_for_space(&config);
    }
    match Server::start(&config).and_then(run) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            oxkeeper::server::start_over(&error);
            tracing::error!(%error, "the server ends");
            complain(&error.to_string());
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
        }
    }
}

/// Runs until a signal (exit code 128 + its number, as a JVM does) or until the log can no longer be trusted.
fn run(server: Server) -> Result<u8, ServerError> {
    let close = server.closer();
    let (signal_to, signal_from) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        if let Ok(code) = oxkeeper::signals::wait() {
            tracing::info!(code, "stopping: no more requests are taken, what was accepted is written");
            let _ = signal_to.send(code);
            close();
        }
    });
    server.wait()?;
    Ok(signal_from.try_recv().unwrap_or(0))
}

fn wait_for_space(config: &Config) {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
        if oxkeeper::server::has_space(config) {
            tracing::info!("there is space again");
            return;
        }
    }
}

fn log_to_stdout() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("OXKEEPER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false);
    match std::env::var("OXKEEPER_LOG_FORMAT").as_deref() {
        Ok("json") => builder.json().init(),
        _ => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stdout())).init(),
    }
}
