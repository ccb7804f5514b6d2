//! What commands say, as the text of zkCli.sh. Java's forms: a list is `[a, b]`, a date is that of `Date.toString`.
//! Next room: `json`, the other rendering.

use super::datum::{Datum, Form};
use super::kind::Kind;
use crate::proto::acl::{ADMIN, CREATE, DELETE, READ, WRITE};
use crate::proto::records::Stat;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write;

/// Where a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A datum as text, end of line included, and the stream that zkCli.sh prints it on.
pub fn render(datum: &Datum) -> (Stream, String) {
    let mut text = String::new();
    match datum {
        Datum::Created { path } => return (Stream::Err, format!("Created {path}\n")),
        Datum::TreeDeleted { whole, .. } => {
            let failed = "Failed to delete some node(s) in the subtree!\n";
            return (Stream::Err, if *whole { String::new() } else { failed.into() });
        }
        Datum::Done { stat, .. } => put_stat(&mut text, *stat),
        Datum::Children { names, stat, .. } => {
            text = format!("[{}]\n", names.join(", "));
            put_stat(&mut text, *stat);
        }
        Datum::Path { path } => text = format!("{path}\n"),
        Datum::Data { data, form, stat, .. } => {
            let data = data.unwrap_or(b"null");
            text = match form {
                Form::Plain => String::from_utf8_lossy(data).into_owned(),
                Form::Base64 => STANDARD.encode(data),
                Form::Hex => hex_dump(data),
            };
            text.push('\n');
            put_stat(&mut text, *stat);
        }
        Datum::Stat { stat, .. } => put_stat(&mut text, Some(stat)),
        Datum::Acl { acl, stat, .. } => {
            for entry in *acl {
                let _ = writeln!(text, "'{},'{}\n: {}", entry.id.scheme, entry.id.id, permissions(entry.perms));
            }
            put_stat(&mut text, *stat);
        }
        Datum::AclRefused { message } => text = (*message).to_owned(),
        Datum::Count { count, .. } => text = format!("{count}\n"),
        Datum::Ephemerals { paths } => text = format!("[{}]\n", paths.join(", ")),
        Datum::Quota { path, limits, usage } => {
            text = format!("Output quota for {path} {limits}\nOutput stat for {path} {usage}\n");
        }
        Datum::Identities { identities } => {
            text = "Auth scheme: User\n".into();
            for (scheme, user) in *identities {
                let _ = writeln!(text, "{scheme}: {user}");
            }
        }
        Datum::Configuration { title, text: configuration, stat } => {
            text = format!("{title}{configuration}\n");
            put_stat(&mut text, *stat);
        }
        Datum::Synced { code: 0 } => text = "Sync is OK\n".into(),
        Datum::Synced { code } => text = format!("Sync has failed. rc={code}\n"),
        Datum::Version { text: version } => text = format!("ZooKeeper CLI version: {version}\n"),
        Datum::Notice(notice) => {
            let path = notice.path.as_deref().unwrap_or("null");
            let (state, kind, zxid) = (notice.state, notice.kind, notice.zxid);
            text = format!("\nWATCHER::\n\nWatchedEvent state:{state} type:{kind} path:{path} zxid: {zxid}\n");
        }
        Datum::Branch { lines, path, depth, seen, hidden } => {
            let name = if *depth == 0 { path } else { path.rsplit('/').next().unwrap_or(path) };
            let marks = match seen {
                Ok((stat, kind)) => marks(stat, *kind, *hidden),
                Err(failure) => failure.message(),
            };
            text = format!("{lines}{name}{}{marks}\n", if marks.is_empty() { "" } else { "  " });
        }
        Datum::TreeSize { nodes, bytes } => text = format!("\n{nodes} znodes, {bytes} bytes of data\n"),
        Datum::Found { path, .. } => text = format!("{path}\n"),
        Datum::Seen { unix_ms, notice } => {
            let path = notice.path.as_deref().unwrap_or("-");
            let zxid = if notice.zxid < 0 { "-".to_owned() } else { format!("{:#x}", notice.zxid) };
            let what = if notice.kind == "None" { notice.state } else { notice.kind };
            text = format!("{} {what} {path} {zxid}\n", clock(*unix_ms));
        }
        Datum::Imported { path, created, overwritten, kept, ephemeral, dry } => {
            let would = if *dry { "would have " } else { "" };
            text = format!("{path}: {would}created {created}, overwritten {overwritten}, kept {kept}");
            if *ephemeral > 0 {
                let _ = write!(text, "; {ephemeral} ephemeral left out");
            }
            text.push('\n');
        }
        Datum::Document(piece) => text = (*piece).to_owned(),
        Datum::Line(line) => text = format!("{line}\n"),
    }
    (Stream::Out, text)
}

/// `StatPrinter`.
fn put_stat(out: &mut String, stat: Option<&Stat>) {
    let Some(stat) = stat else { return };
    let _ = write!(
        out,
        "cZxid = {:#x}\nctime = {}\nmZxid = {:#x}\nmtime = {}\npZxid = {:#x}\ncversion = {}\ndataVersion = {}\n\
         aclVersion = {}\nephemeralOwner = {:#x}\ndataLength = {}\nnumChildren = {}\n",
        stat.czxid,
        date(stat.ctime),
        stat.mzxid,
        date(stat.mtime),
        stat.pzxid,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
    );
}

/// `Date.toString` in the time zone of this machine.
pub fn date(unix_ms: i64) -> String {
    date_in(unix_ms, TimeZone::system())
}

fn date_in(unix_ms: i64, zone: TimeZone) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(time) => time.to_zoned_datetime(zone).strftime("%a %b %d %H:%M:%S %Z %Y").to_string(),
        Err(_) => format!("{unix_ms} ms"),
    }
}

/// What stands behind a node in the picture of a tree: its kind, its size, and children that are left out.
fn marks(stat: &Stat, kind: Kind, hidden: usize) -> String {
    let kind = match kind {
        Kind::Persistent => None,
        Kind::Ephemeral(owner) => Some(format!("ephemeral {owner:#x}")),
        Kind::Container => Some("container".to_owned()),
        Kind::Ttl(ms) => Some(format!("ttl {ms} ms")),
    };
    let size = (stat.data_length > 0).then(|| format!("{} B", stat.data_length));
    let more = (hidden > 0).then(|| format!("+{hidden} children"));
    [kind, size, more].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Date and time in the time zone of this machine, ms included.
fn clock(unix_ms: i64) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(time) => time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
        Err(_) => format!("{unix_ms} ms"),
    }
}

/// `ZKUtil.getPermString`.
pub fn permissions(bits: i32) -> String {
    let letters = [(CREATE, 'c'), (DELETE, 'd'), (READ, 'r'), (WRITE, 'w'), (ADMIN, 'a')];
    letters.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, letter)| letter).collect()
}

/// `ByteBufUtil.prettyHexDump` of Netty.
fn hex_dump(data: &[u8]) -> String {
    const EDGE: &str = "+--------+-------------------------------------------------+----------------+";
    if data.is_empty() {
        return String::new();
    }
    let mut text = "         +-------------------------------------------------+\n         |".to_owned();
    (0..16).for_each(|column| {
        let _ = write!(text, "  {column:x}");
    });
    let _ = write!(text, " |\n{EDGE}");
    for (row, bytes) in data.chunks(16).enumerate() {
        let _ = write!(text, "\n|{:08x}|", row * 16);
        bytes.iter().for_each(|byte| {
            let _ = write!(text, " {byte:02x}");
        });
        let shown = bytes.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' });
        let _ = write!(text, "{:gap$} |{:<16}|", "", shown.collect::<String>(), gap = (16 - bytes.len()) * 3);
    }
    let _ = write!(text, "\n{EDGE}");
    text
}

#[cfg(test)]
mod tests {
    use super::super::session::Notice;
    use super::*;

    #[test]
    fn a_stat_block_has_the_lines_of_the_original() {
        let stat = Stat { czxid: 0xd, ephemeral_owner: i64::MIN, num_children: 4, cversion: -1, ..Stat::default() };
        let (stream, text) = render(&Datum::Stat { path: "/a", stat: &stat });
        assert_eq!(stream, Stream::Out);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[0], "cZxid = 0xd");
        assert_eq!(lines[5], "cversion = -1");
        assert_eq!(lines[8], "ephemeralOwner = 0x8000000000000000");
        assert_eq!(lines[10], "numChildren = 4");
    }

    #[test]
    fn dates_are_those_of_java() {
        assert_eq!(date_in(0, TimeZone::UTC), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(date_in(1_795_337_003_000, TimeZone::UTC), "Sun Nov 22 08:43:23 UTC 2026");
        assert_eq!(date_in(i64::MAX, TimeZone::UTC), "9223372036854775807 ms");
    }

    /// From `spec/captures/zkcli.session`.
    #[test]
    fn a_hex_dump_is_that_of_netty() {
        let expected = "         +-------------------------------------------------+\n         \
            |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n\
            +--------+-------------------------------------------------+----------------+\n\
            |00000000| 64 61 74 61                                     |data            |\n\
            +--------+-------------------------------------------------+----------------+";
        assert_eq!(hex_dump(b"data"), expected);
        assert!(
            hex_dump(&[0x0a; 17])
                .contains("|00000010| 0a                                              |.               |")
        );
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn notices_stand_between_blank_lines() {
        let notice = Notice { state: "SyncConnected", kind: "None", path: None, zxid: -1 };
        let text = "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null zxid: -1\n";
        assert_eq!(render(&Datum::Notice(&notice)).1, text);
    }
}
