//! `oxkeeper top`: who loads a live server, on the terminal. It asks the four-letter word `otop` (or the admin server's
//! command `top`, which says the same) again and again. `model` is what is known, `draw` puts it on a screen, `ask`
//! gets it; only this file and `ask` touch the terminal, the network or the clock.

mod ask;
mod draw;
mod model;

use crate::admin::top::Top;
use crate::talkers::Measure;
use clap::{Parser, ValueEnum};
use model::{Dimension, Model, Step};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use serde::Serialize;
use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Who loads a live server.
#[derive(Debug, Parser)]
#[command(name = "oxkeeper top", about = "Shows who loads a live server: throughput, latency, talkers, watches")]
pub struct Args {
    /// Client port of the server; it must allow the four-letter word otop (4lw.commands.whitelist)
    #[arg(default_value = "127.0.0.1:2181")]
    server: String,
    /// Ask the admin server there instead, host:port
    #[arg(long)]
    admin: Option<String>,
    /// Seconds between two looks
    #[arg(long, default_value_t = 1.0)]
    interval: f64,
    /// What is listed first
    #[arg(long, value_enum, default_value_t = Dimension::Sessions)]
    by: Dimension,
    /// What the list is sorted by
    #[arg(long, value_enum, default_value_t = Sort::Requests)]
    sort: Sort,
    /// Two looks, one answer, no terminal
    #[arg(long)]
    once: bool,
    /// How --once answers
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    Requests,
    Bytes,
    Time,
}

impl From<Sort> for Measure {
    fn from(sort: Sort) -> Measure {
        match sort {
            Sort::Requests => Measure::Requests,
            Sort::Bytes => Measure::Bytes,
            Sort::Time => Measure::Time,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Runs it; the exit code is 0, or 1 when the server does not answer.
pub fn run(words: impl IntoIterator<Item = String>) -> u8 {
    let args = Args::parse_from(words);
    let shown = if args.once { once(&args) } else { watch(&args) };
    match shown {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "oxkeeper top: {error}");
            1
        }
    }
}

impl Args {
    fn interval(&self) -> Duration {
        Duration::try_from_secs_f64(self.interval.clamp(0.1, 3600.0)).unwrap_or(Duration::from_secs(1))
    }

    fn look(&self) -> Result<Top, ask::AskError> {
        match &self.admin {
            Some(admin) => ask::admin(admin),
            None => ask::word(&self.server),
        }
    }

    fn model(&self) -> Model {
        let name = self.admin.clone().unwrap_or_else(|| self.server.clone());
        Model::new(name, self.by, self.sort.into())
    }
}

/// What `--once --format json` prints: the server's own datum, and what two of them say of the time between.
#[derive(Serialize)]
struct Once<'a> {
    server: &'a str,
    step: Step,
    #[serde(flatten)]
    top: &'a Top,
}

fn once(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let mut model = args.model();
    model.take(args.look()?);
    std::thread::sleep(args.interval());
    model.take(args.look()?);
    let text = match (args.format, model.latest()) {
        (Format::Json, Some((top, step))) => {
            let once = Once { server: model.server(), step, top };
            format!("{}\n", serde_json::to_string_pretty(&once)?)
        }
        _ => draw::text(&model),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// What happens while somebody looks.
enum Happening {
    Key(KeyCode, KeyModifiers),
    Redraw,
    Looked(Box<Result<Top, ask::AskError>>),
}

fn watch(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    // A server that does not answer at all is an error message, not a screen.
    let mut model = args.model();
    model.take(args.look()?);
    let (to, happenings) = channel();
    std::thread::scope(|scope| {
        let (keys, looks) = (to.clone(), to);
        let (stop_keys, stopped_keys) = channel::<()>();
        let (stop_looks, stopped_looks) = channel::<()>();
        scope.spawn(move || read_keys(&keys, &stopped_keys));
        scope.spawn(move || look_again(args, &looks, &stopped_looks));
        let mut terminal = ratatui::init();
        let ended = show(&mut terminal, &mut model, &happenings);
        ratatui::restore();
        drop((stop_keys, stop_looks));
        ended
    })?;
    Ok(())
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    model: &mut Model,
    happenings: &Receiver<Happening>,
) -> std::io::Result<()> {
    loop {
        terminal.draw(|frame| draw::draw(model, frame))?;
        match happenings.recv() {
            Ok(Happening::Key(KeyCode::Char('c'), KeyModifiers::CONTROL)) => return Ok(()),
            Ok(Happening::Key(KeyCode::Char('q') | KeyCode::Esc, _)) | Err(_) => return Ok(()),
            Ok(Happening::Key(key, _)) => press(model, key),
            Ok(Happening::Redraw) => {}
            Ok(Happening::Looked(looked)) => match *looked {
                Ok(top) => model.take(top),
                Err(error) => model.failed(error.to_string()),
            },
        }
    }
}

fn press(model: &mut Model, key: KeyCode) {
    match key {
        KeyCode::Char('r') => model.sort(Measure::Requests),
        KeyCode::Char('b') => model.sort(Measure::Bytes),
        KeyCode::Char('t') => model.sort(Measure::Time),
        KeyCode::Char('p' | ' ') => model.pause(),
        KeyCode::Tab | KeyCode::Right => model.turn(1),
        KeyCode::BackTab | KeyCode::Left => model.turn(Dimension::ALL.len() - 1),
        KeyCode::Char(digit) => {
            let chosen = digit.to_digit(10).and_then(|digit| Dimension::ALL.get(digit.checked_sub(1)? as usize));
            if let Some(dimension) = chosen {
                model.show(*dimension);
            }
        }
        _ => {}
    }
}

/// Until the other end of `stopped` goes.
fn goes_on(stopped: &Receiver<()>, pause: Duration) -> bool {
    matches!(stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
}

fn read_keys(to: &Sender<Happening>, stopped: &Receiver<()>) {
    while goes_on(stopped, Duration::ZERO) {
        let happening = match event::poll(Duration::from_millis(100)) {
            Ok(false) => continue,
            Ok(true) => match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Happening::Key(key.code, key.modifiers),
                Ok(Event::Resize(..)) => Happening::Redraw,
                Ok(_) => continue,
                // Without a keyboard there is nobody to look.
                Err(_) => Happening::Key(KeyCode::Esc, KeyModifiers::NONE),
            },
            Err(_) => Happening::Key(KeyCode::Esc, KeyModifiers::NONE),
        };
        if to.send(happening).is_err() {
            return;
        }
    }
}

fn look_again(args: &Args, to: &Sender<Happening>, stopped: &Receiver<()>) {
    while goes_on(stopped, args.interval()) {
        if to.send(Happening::Looked(Box::new(args.look()))).is_err() {
            return;
        }
    }
}
