//! Who changed what, with which result: the events of the audit log, and the two ways of writing them down. Knows
//! requests and replies, not files; the reactor makes the events of its clients' requests, `server/audit_log` writes them.
//! Keys, order and cases are those of the original (`org.apache.zookeeper.audit.AuditHelper`, `AuditEvent`).

mod request;

pub use request::{Request, events, is_audited};

use crate::proto::session::SessionId;
use serde_json::{Map, Value};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The server serves, or failed to.
    ServerStart,
    /// The server is told to end.
    ServerStop,
    /// Any of the create operations.
    Create,
    /// delete.
    Delete,
    /// setData.
    SetData,
    /// setACL.
    SetAcl,
    /// A multi that failed; one that succeeded is told by its parts.
    Multi,
    /// reconfig.
    Reconfig,
    /// An ephemeral node went with its session.
    EphemeralDeletion,
}

impl Operation {
    /// The original's word.
    pub fn name(self) -> &'static str {
        match self {
            Operation::ServerStart => "serverStart",
            Operation::ServerStop => "serverStop",
            Operation::Create => "create",
            Operation::Delete => "delete",
            Operation::SetData => "setData",
            Operation::SetAcl => "setAcl",
            Operation::Multi => "multiOperation",
            Operation::Reconfig => "reconfig",
            Operation::EphemeralDeletion => "ephemeralZNodeDeletionOnSessionCloseOrExpire",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// Done.
    Success,
    /// Refused.
    Failure,
    /// Begun; nobody will be there to say more.
    Invoked,
}

impl Result {
    /// The original's word.
    pub fn name(self) -> &'static str {
        match self {
            Result::Success => "success",
            Result::Failure => "failure",
            Result::Invoked => "invoked",
        }
    }
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Session.
    pub session: Option<SessionId>,
    /// Users of all identities, joined by commas; of the server's own deeds the server's user.
    pub user: Option<String>,
    /// Address of the client.
    pub ip: Option<String>,
    /// What was done.
    pub operation: Operation,
    /// Where.
    pub znode: Option<String>,
    /// Kind of a created node.
    pub znode_type: Option<&'static str>,
    /// The list that was asked for.
    pub acl: Option<String>,
    /// What came of it.
    pub result: Result,
}

impl Event {
    /// An event of which only this is known.
    pub fn new(operation: Operation, result: Result) -> Self {
        let (session, user, ip, znode, znode_type, acl) = (None, None, None, None, None, None);
        Event { session, user, ip, operation, znode, znode_type, acl, result }
    }

    /// `ERROR` for failures, `INFO` for everything else.
    pub fn level(&self) -> &'static str {
        if self.result == Result::Failure { "ERROR" } else { "INFO" }
    }

    fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        let fields = [
            ("session", self.session.map(|session| format!("0x{session:x}"))),
            ("user", self.user.clone()),
            ("ip", self.ip.clone()),
            ("operation", Some(self.operation.name().into())),
            ("znode", self.znode.clone()),
            ("znode_type", self.znode_type.map(Into::into)),
            ("acl", self.acl.clone()),
            ("result", Some(self.result.name().into())),
        ];
        fields.into_iter().filter_map(|(key, value)| Some((key, value?)))
    }

    /// `key=value` pairs behind each other, with a tab between; no newline. A refused path or ACL may hold anything: unlike
    /// the original, control characters are written as `\u{..}`, so that nobody writes lines of his own into the log.
    pub fn line(&self) -> String {
        let mut line = String::new();
        for (key, value) in self.fields() {
            if !line.is_empty() {
                line.push('\t');
            }
            line.push_str(key);
            line.push('=');
            for c in value.chars() {
                if c.is_control() { line.extend(c.escape_unicode()) } else { line.push(c) }
            }
        }
        line
    }

    /// The same as fields of a JSON object, behind `time`.
    pub fn json(&self, time: &str) -> String {
        let head = [("time".to_owned(), time.into()), ("level".to_owned(), self.level().into())];
        let fields = self.fields().map(|(key, value)| (key.to_owned(), Value::String(value)));
        Value::Object(head.into_iter().chain(fields).collect::<Map<_, _>>()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_in_the_originals_order_without_what_is_absent() {
        let event = Event {
            session: Some(0x100),
            user: Some("bob,10.0.0.1".into()),
            ip: Some("10.0.0.1".into()),
            znode: Some("/a".into()),
            znode_type: Some("ephemeral"),
            acl: Some("world:anyone:cdrwa".into()),
            ..Event::new(Operation::Create, Result::Failure)
        };
        let line = "session=0x100\tuser=bob,10.0.0.1\tip=10.0.0.1\toperation=create\tznode=/a\tznode_type=ephemeral\
            \tacl=world:anyone:cdrwa\tresult=failure";
        assert_eq!((event.line().as_str(), event.level()), (line, "ERROR"));
        let event = Event::new(Operation::ServerStop, Result::Invoked);
        assert_eq!((event.line().as_str(), event.level()), ("operation=serverStop\tresult=invoked", "INFO"));
        let json = r#"{"time":"now","level":"INFO","operation":"serverStop","result":"invoked"}"#;
        assert_eq!(event.json("now"), json);
    }

    #[test]
    fn nobody_writes_lines_of_his_own() {
        let mut event = Event::new(Operation::Create, Result::Failure);
        event.znode = Some("/a\nresult=success\tuser=root".into());
        assert_eq!(event.line(), "operation=create\tznode=/a\\u{a}result=success\\u{9}user=root\tresult=failure");
        let back: Value = serde_json::from_str(&event.json("now")).unwrap();
        assert_eq!(back["znode"], "/a\nresult=success\tuser=root");
    }
}
