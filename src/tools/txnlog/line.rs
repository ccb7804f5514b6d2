//! One line of text for a transaction, as `org.apache.zookeeper.server.persistence.TxnLogToolkit` prints it.

use std::fmt::Write;

use crate::admin::java_text::civil;
use crate::jute::{Decode, DecodeError, Reader, lossy};
use crate::proto::OpCode;
use crate::proto::acl::Acl;
use crate::proto::txn::{CreateKind, Txn, TxnHeader, TxnRecord};

/// The line of a record that stands in `body`, without a line feed.
pub fn line(body: &[u8]) -> Result<String, DecodeError> {
    let header = TxnHeader::decode(&mut Reader::unlimited(body))?;
    let op = OpCode(header.op);
    let mut out = format!(
        "{} session 0x{:x} cxid 0x{:x} zxid 0x{:x} {op} ",
        time(header.time_ms),
        header.client_id,
        i64::from(header.cxid),
        header.zxid
    );
    if op == OpCode::MULTI {
        multi(&mut out, body)?;
        // The original ends a line once, and the last byte of an item may be a line feed.
        if out.ends_with('\n') {
            out.pop();
        }
    } else {
        plain(&mut out, &TxnRecord::decode(body)?.txn);
    }
    Ok(out)
}

/// `DateFormat` SHORT and LONG of the English locale, in UTC.
fn time(unix_ms: i64) -> String {
    let seconds = unix_ms.div_euclid(1_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, half) = (second / 3_600, if second < 43_200 { "AM" } else { "PM" });
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    format!("{month}/{day}/{:02}, {hour}:{:02}:{:02} {half} UTC", year.rem_euclid(100), second / 60 % 60, second % 60)
}

fn plain(out: &mut String, txn: &Txn<'_>) {
    let written = match txn {
        Txn::Create(create) => {
            let path = create.path.as_deref().unwrap_or("null");
            let _ = write!(out, "{path},{},", lossy(create.data.unwrap_or_default()));
            acl_list(out, create.acl.as_deref());
            match create.kind {
                CreateKind::Ttl(ttl_ms) => write!(out, ",{},{ttl_ms}", create.parent_cversion),
                CreateKind::Container => write!(out, ",{}", create.parent_cversion),
                kind => write!(out, ",{},{}", kind == CreateKind::Ephemeral, create.parent_cversion),
            }
        }
        Txn::SetData { path, data, version } => {
            let path = path.as_deref().unwrap_or("null");
            write!(out, "{path},{},{version}", lossy(data.unwrap_or_default()))
        }
        Txn::Delete { path } => write!(out, "{}", quoted(path.as_deref())),
        Txn::SetAcl { path, acl, version } => {
            let acl = acl.iter().flatten().map(|acl| format!("s{{{}}}", entry(acl))).collect::<Vec<_>>().join(",");
            write!(out, "{},v{{{acl}}},{version}", quoted(path.as_deref()))
        }
        Txn::CreateSession { timeout_ms } => write!(out, "{timeout_ms}"),
        Txn::CloseSession { paths: None } => Ok(()),
        Txn::CloseSession { paths: Some(paths) } => {
            let paths = paths.iter().map(|path| quoted(path.as_deref())).collect::<Vec<_>>().join(",");
            write!(out, "v{{{paths}}}")
        }
        Txn::Error { err } => write!(out, "{err}"),
        Txn::Check { path, version } => write!(out, "{},{version}", quoted(path.as_deref())),
        // Written from its bytes.
        Txn::Multi(_) => Ok(()),
    };
    written.expect("writing to a string does not fail");
}

/// A multi shows its items as they stand in the file: name, colon, bytes as text.
fn multi(out: &mut String, body: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::unlimited(body);
    TxnHeader::decode(&mut reader)?;
    for at in 0..reader.int()?.max(0) {
        let (op, bytes) = (OpCode(reader.int()?), reader.buffer()?);
        let separator = if at == 0 { "" } else { ";" };
        write!(out, "{separator}{op}:{}", lossy(bytes.unwrap_or_default())).expect("writing to a string does not fail");
    }
    Ok(())
}

/// `List<ACL>.toString`.
fn acl_list(out: &mut String, acl: Option<&[Acl]>) {
    let Some(acl) = acl else { return out.push_str("null") };
    let entries = acl.iter().map(|acl| format!("{}\n", entry(acl))).collect::<Vec<_>>().join(", ");
    write!(out, "[{entries}]").expect("writing to a string does not fail");
}

fn entry(acl: &Acl) -> String {
    format!("{},s{{{},{}}}", acl.perms, quoted(Some(&acl.id.scheme)), quoted(Some(&acl.id.id)))
}

/// A string in jute's text form: a quote in front, and what would end it escaped.
fn quoted(text: Option<&str>) -> String {
    let Some(text) = text else { return String::new() };
    let mut out = String::with_capacity(text.len() + 1);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\0' => out.push_str("%00"),
            '\n' => out.push_str("%0A"),
            '\r' => out.push_str("%0D"),
            ',' => out.push_str("%2C"),
            '}' => out.push_str("%7D"),
            '%' => out.push_str("%25"),
            c => out.push(c),
        }
    }
    out
}
