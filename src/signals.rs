//! The signals that ask a program to end.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM, SIGINT or SIGHUP. The result is the exit code that goes with it: 128 and the signal's number, as a
/// JVM does. An error means that the system gives no runtime, or no signals.
pub fn wait() -> std::io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt, mut hangup) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
        tokio::select! {
            _ = terminate.recv() => Ok(143),
            _ = interrupt.recv() => Ok(130),
            _ = hangup.recv() => Ok(129),
        }
    })
}
