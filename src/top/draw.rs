//! The screen, and the same as text. Knows the model and nothing of terminals: a test draws into memory.

use super::model::{Dimension, Model, Step};
use crate::admin::top::{Ranked, Row, Top};
use crate::talkers::Measure;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row as Cells, Sparkline, Table, Tabs};
use std::fmt::Write;

const KEYS: &str = " 1-6 or Tab: list   r b t: sort by requests, bytes, time   p: pause   q: quit ";

/// Puts the model on a screen.
pub fn draw(model: &Model, frame: &mut Frame<'_>) {
    let [head, figures, chart, tabs, list, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(3),
        Constraint::Length(5),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let Some((top, step)) = model.latest() else { return };
    frame.render_widget(Paragraph::new(title(model, top)).reversed(), head);
    frame.render_widget(Paragraph::new(figure_lines(top, step).map(Line::from).to_vec()), figures);
    draw_chart(model, step, frame, chart);
    let names = Dimension::ALL.iter().enumerate().map(|(at, dimension)| format!("{} {}", at + 1, dimension.name()));
    let at = Dimension::ALL.iter().position(|dimension| *dimension == model.dimension());
    frame.render_widget(Tabs::new(names).select(at).highlight_style(Style::new().reversed()), tabs);
    draw_list(model, top, frame, list);
    let foot_line = match model.trouble() {
        Some(trouble) => Line::from(format!(" {trouble} ")).style(Style::new().fg(Color::White).bg(Color::Red)),
        None => Line::from(KEYS).dim(),
    };
    frame.render_widget(foot_line, foot);
}

fn title(model: &Model, top: &Top) -> String {
    let version = top.version.split(['-', ',']).next().unwrap_or_default();
    let paused = if model.is_paused() { "  [paused]" } else { "" };
    format!(
        " oxkeeper top   {}   {}   ZooKeeper {version}   up {}   zxid {}{paused}",
        model.server(),
        top.mode,
        duration(top.uptime_ms),
        top.zxid
    )
}

fn figure_lines(top: &Top, step: Step) -> [String; 3] {
    let refused =
        if step.refused_per_s > 0.0 { format!("   REFUSED {}/s", amount(step.refused_per_s)) } else { String::new() };
    [
        format!(
            " requests {}/s   replies and events {}/s   {}B/s in   latency {:.2} ms (greatest {} ms){refused}",
            amount(step.received_per_s),
            amount(step.sent_per_s),
            amount(step.bytes_received_per_s),
            step.latency_ms,
            top.latency.max_ms
        ),
        format!(
            " connections {}   sessions {}   requests in work {}   znodes {}",
            top.connections, top.sessions, top.outstanding, top.znodes
        ),
        format!(
            " watches {} on {} paths   connections that have watched {}",
            top.watches.total, top.watches.paths, top.watches.connections
        ),
    ]
}

fn draw_chart(model: &Model, step: Step, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::bordered().title(format!(" requests each second: {} ", amount(step.received_per_s)));
    let width = usize::from(block.inner(area).width);
    // The newest at the right edge.
    let mut newest: Vec<_> = model.history().rev().take(width).collect();
    newest.resize(width, 0);
    newest.reverse();
    frame.render_widget(Sparkline::default().data(newest).style(Style::new().fg(Color::Cyan)).block(block), area);
}

fn draw_list(model: &Model, top: &Top, frame: &mut Frame<'_>, area: Rect) {
    if model.dimension() == Dimension::Watches {
        let rows = top.watches.sessions.iter().map(|watching| {
            let client = watching.client.map(|client| client.to_string()).unwrap_or_default();
            Cells::new([watching.session.clone(), client, right(&watching.paths.to_string(), 12)])
        });
        let widths = [Constraint::Length(20), Constraint::Min(22), Constraint::Length(12)];
        let head = Cells::new(["session".to_owned(), "client".into(), right("paths", 12)]).bold();
        return frame.render_widget(Table::new(rows, widths).header(head), area);
    }
    let rows = ranked(top, model.dimension()).by(model.measure());
    if rows.is_empty() {
        let text = if top.talkers.half_life_ms == 0 { " not counted: topTalkers.enabled is false" } else { " nobody" };
        return frame.render_widget(Paragraph::new(text).dim(), area);
    }
    let cells = rows.iter().map(|row| {
        let figures = figures(row).map(|figure| Cell::from(right(&figure, 10)));
        Cells::new(std::iter::once(Cell::from(name(row))).chain(figures))
    });
    let titles = ["requests/s", "bytes/s", "time/s", "sure to"].into_iter().zip([
        Some(Measure::Requests),
        Some(Measure::Bytes),
        Some(Measure::Time),
        None,
    ]);
    let titles = titles.map(|(title, measure)| {
        let style =
            if measure == Some(model.measure()) { Modifier::UNDERLINED | Modifier::BOLD } else { Modifier::BOLD };
        Cell::from(Line::from(Span::styled(right(title, 10), style)))
    });
    let head = Cells::new(std::iter::once(Cell::from(model.dimension().name().bold())).chain(titles));
    let widths = [Constraint::Min(24)].into_iter().chain([Constraint::Length(10); 4]);
    frame.render_widget(Table::new(cells, widths).header(head), area);
}

fn ranked(top: &Top, dimension: Dimension) -> &Ranked {
    match dimension {
        Dimension::Sessions | Dimension::Watches => &top.talkers.sessions,
        Dimension::Addresses => &top.talkers.addresses,
        Dimension::Identities => &top.talkers.identities,
        Dimension::Prefixes => &top.talkers.prefixes,
        Dimension::Operations => &top.talkers.operations,
    }
}

fn name(row: &Row) -> String {
    match row.client {
        Some(client) => format!("{}  {client}", row.name),
        None => row.name.clone(),
    }
}

/// Requests, bytes, time on a core or of waiting, all of a second, and how far the ranking figure may be too high.
fn figures(row: &Row) -> [String; 4] {
    [
        amount(row.requests_per_s),
        amount(row.bytes_per_s),
        time(row.time_us_per_s),
        if row.error_per_s == 0.0 { "exact".into() } else { amount(row.error_per_s) },
    ]
}

fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

/// Three digits and a unit.
fn amount(value: f64) -> String {
    let (mut value, mut unit) = (value, 0);
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    let decimals = if unit == 0 && value >= 10.0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}{}", UNITS[unit])
}

/// Three digits and a unit of time. Waits of many requests at once add up to more than a second.
fn time(us: f64) -> String {
    match us {
        ..999.5 => format!("{} us", amount(us)),
        ..999_500.0 => format!("{} ms", amount(us / 1e3)),
        _ => format!("{} s", amount(us / 1e6)),
    }
}

fn duration(ms: i64) -> String {
    let s = ms / 1_000;
    match s {
        ..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// The same without a screen: every list, in the order that was asked for.
pub fn text(model: &Model) -> String {
    let Some((top, step)) = model.latest() else { return String::new() };
    let mut out = format!(
        "{}\n{}\n",
        title(model, top).trim(),
        figure_lines(top, step).map(|line| line.trim().to_owned()).join("\n")
    );
    let rest = Dimension::ALL.into_iter().filter(|dimension| *dimension != model.dimension());
    for dimension in std::iter::once(model.dimension()).chain(rest) {
        if dimension == Dimension::Watches {
            put(&mut out, format_args!("\n{:<46}{:>12}", dimension.name(), "paths"));
            for watching in &top.watches.sessions {
                let client = watching.client.map(|client| client.to_string()).unwrap_or_default();
                put(&mut out, format_args!("{:<46}{:>12}", format!("{}  {client}", watching.session), watching.paths));
            }
            continue;
        }
        let [a, b, c, d] = ["requests/s", "bytes/s", "time/s", "sure to"];
        put(&mut out, format_args!("\n{:<46}{a:>12}{b:>12}{c:>12}{d:>12}", dimension.name()));
        for row in ranked(top, dimension).by(model.measure()) {
            let [a, b, c, d] = figures(row);
            put(&mut out, format_args!("{:<46}{a:>12}{b:>12}{c:>12}{d:>12}", name(row)));
        }
    }
    out
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("a string takes everything");
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::admin::top::{Latencies, Talkers, WatchFigures, Watching};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn row(name: &str, requests_per_s: f64, bytes_per_s: f64, time_us_per_s: f64) -> Row {
        Row { name: name.into(), client: None, requests_per_s, bytes_per_s, time_us_per_s, error_per_s: 0.0 }
    }

    /// A server with something to see.
    pub fn top() -> Top {
        let session =
            Row { client: Some(([10, 0, 0, 7], 40_123).into()), ..row("0x100000a", 1234.0, 5_600_000.0, 250_000.0) };
        let other = Row { error_per_s: 2.5, ..row("0x100000b", 10.0, 9_900_000.0, 1.0) };
        let sessions = Ranked {
            by_requests: vec![session.clone(), other.clone()],
            by_bytes: vec![other, session.clone()],
            by_time: vec![session],
        };
        let one = |name: &str| Ranked { by_requests: vec![row(name, 1.0, 2.0, 3.0)], ..Ranked::default() };
        Top {
            version: "3.9.5-abc, built on 2026-02-11 20:18 UTC".into(),
            mode: "leader".into(),
            now_ms: 0,
            uptime_ms: 3_725_000,
            zxid: "0x1f".into(),
            znodes: 44,
            connections: 3,
            sessions: 4,
            outstanding: 2,
            packets_received: 10,
            packets_sent: 11,
            bytes_received: 12,
            refused: 0,
            latency: Latencies { min_ms: 0, max_ms: 17, sum_ms: 1, count: 1 },
            watches: WatchFigures {
                connections: 1,
                paths: 2,
                total: 3,
                sessions: vec![Watching { session: "0x100000c".into(), client: None, paths: 321 }],
            },
            talkers: Talkers {
                half_life_ms: 60_000,
                sessions,
                addresses: one("10.0.0.7"),
                identities: one("digest:bob"),
                prefixes: one("/app/locks"),
                operations: one("getData"),
            },
        }
    }

    fn screen(model: &Model, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(model, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(line).collect::<Vec<_>>().join("\n")
    }

    fn model() -> Model {
        let mut model = Model::new("zk1:2181".into(), Dimension::Sessions, Measure::Requests);
        model.take(top());
        let mut later = top();
        later.uptime_ms += 1_000;
        later.packets_received += 1_500;
        later.refused += 3;
        model.take(later);
        model
    }

    #[test]
    fn the_screen_shows_the_server_and_its_talkers() {
        let shown = screen(&model(), 110, 30);
        for wanted in [
            "zk1:2181",
            "leader",
            "ZooKeeper 3.9.5 ",
            "up 1 h 2 min",
            "zxid 0x1f",
            "requests 1.50k/s",
            "REFUSED 3.00/s",
            "greatest 17 ms",
            "connections 3",
            "sessions 4",
            "requests in work 2",
            "znodes 44",
            "watches 3 on 2 paths",
            "1 sessions",
            "6 watches",
            "0x100000a  10.0.0.7:40123",
            "1.23k",
            "5.60M",
            "250 ms",
            "exact",
            "2.50",
            "q: quit",
        ] {
            assert!(shown.contains(wanted), "{wanted} is missing in\n{shown}");
        }
        let first = |shown: &str| shown.find("0x100000a").unwrap() < shown.find("0x100000b").unwrap();
        assert!(first(&shown));
        let mut model = model();
        model.sort(Measure::Bytes);
        assert!(!first(&screen(&model, 110, 30)), "the other one moves more bytes");
    }

    #[test]
    fn every_list_has_its_rows_and_trouble_is_seen() {
        let mut model = model();
        let wanted = ["0x100000a", "10.0.0.7", "digest:bob", "/app/locks", "getData", "321"];
        for (dimension, wanted) in Dimension::ALL.into_iter().zip(wanted) {
            model.show(dimension);
            let shown = screen(&model, 110, 30);
            assert!(shown.contains(wanted), "{wanted} is missing in\n{shown}");
        }
        model.failed("zk1:2181: connection refused".into());
        model.pause();
        let shown = screen(&model, 110, 30);
        assert!(shown.contains("connection refused") && shown.contains("[paused]"), "{shown}");
    }

    #[test]
    fn a_small_screen_is_no_reason_to_fall_over() {
        for (width, height) in [(1, 1), (20, 5), (40, 11), (300, 3)] {
            screen(&model(), width, height);
        }
    }

    #[test]
    fn the_text_has_every_list_the_chosen_one_first() {
        let mut model = model();
        model.show(Dimension::Prefixes);
        let shown = text(&model);
        let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text} is missing in\n{shown}"));
        assert!(at("/app/locks") < at("0x100000a") && at("0x100000a") < at("digest:bob") && at("getData") < at("321"));
    }

    #[test]
    fn amounts_have_three_digits() {
        let shown = [0.0, 0.004, 5.678, 12.3, 999.4, 999.6, 12_345.0, 99_960.0, 123_456.0, 9.9e7, 1e16].map(amount);
        let wanted = ["0.00", "0.00", "5.68", "12", "999", "1.00k", "12.3k", "100k", "123k", "99.0M", "10000T"];
        assert_eq!(shown, wanted);
        let shown = [0.0, 12.0, 6_620.0, 999_600.0, 1.07e8].map(time);
        assert_eq!(shown, ["0.00 us", "12 us", "6.62 ms", "1.00 s", "107 s"]);
    }
}
