//! The progress bar on a terminal: a thread that looks at the shared counter now and then.

use super::args::Args;
use super::engine::Plan;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the bar moves.
const REFRESH: Duration = Duration::from_millis(200);

/// A bar; cleared when dropped.
#[derive(Debug)]
pub struct Progress {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows a bar, unless nobody looks: over `expected` operations, or else over the time.
    pub fn start(name: &str, args: &Args, plan: &Plan, expected: Option<u64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        if args.quiet || !std::io::stderr().is_terminal() {
            return Progress { stop, thread: None };
        }
        let whole = plan.duration.map(|duration| (plan.warmup + duration).as_millis() as u64);
        let bar = ProgressBar::new(expected.or(whole).unwrap_or(0));
        let template = "{prefix:>16} [{wide_bar}] {msg:>16}  {eta:>4}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant that parses"));
        bar.set_prefix(name.to_owned());
        let (plan, stopped) = (plan.clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut before = 0;
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(REFRESH);
                let done = plan.progress.load(Ordering::Relaxed);
                let rate = (done - before) as f64 / REFRESH.as_secs_f64();
                before = done;
                bar.set_position(if expected.is_some() { done } else { plan.begin.elapsed().as_millis() as u64 });
                bar.set_message(if rate > 0.0 { format!("{rate:.0}/s") } else { "warming up".to_owned() });
            }
            bar.finish_and_clear();
        });
        Progress { stop, thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only draws.
            let _ = thread.join();
        }
    }
}
