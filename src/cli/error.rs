//! Why a command failed, with the words that `org.apache.zookeeper.cli.CliWrapperException` has for it.

use crate::proto::ErrorCode;
use std::io;

/// A command that failed.
#[derive(Debug)]
pub enum Failure {
    /// The server, or the connection, said no.
    Keeper {
        /// What it said.
        code: ErrorCode,
        /// The path it was asked about, if any.
        path: Option<String>,
        /// Why there is no connection.
        trouble: Option<String>,
    },
    /// A mistake of the user or of the input, in words.
    Said(String),
    /// There is no such command.
    NoCommand(String),
    /// Ctrl-C.
    Interrupted,
    /// Nobody reads what is printed.
    Output(io::Error),
}

impl Failure {
    /// The server's answer about a path.
    pub fn keeper(code: ErrorCode, path: Option<&str>) -> Self {
        Failure::Keeper { code, path: path.map(str::to_owned), trouble: None }
    }

    /// The server's code, where there is one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Failure::Keeper { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The exit code of a process that ran one command.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::NoCommand(_) => 127,
            Failure::Interrupted => 130,
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 141,
            _ => 1,
        }
    }

    /// What the shell prints.
    pub fn message(&self) -> String {
        match self {
            Failure::Keeper { code, path, .. } => keeper_message(*code, path.as_deref()),
            Failure::Said(text) => text.clone(),
            Failure::NoCommand(name) => format!("Command not found: Command not found {name}"),
            Failure::Interrupted => "Interrupted".into(),
            Failure::Output(error) => error.to_string(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

fn keeper_message(code: ErrorCode, path: Option<&str>) -> String {
    let shown = path.unwrap_or("null");
    match code {
        ErrorCode::NO_NODE => format!("Node does not exist: {shown}"),
        ErrorCode::NO_CHILDREN_FOR_EPHEMERALS => format!("Ephemerals cannot have children: {shown}"),
        ErrorCode::NODE_EXISTS => format!("Node already exists: {shown}"),
        ErrorCode::NOT_EMPTY => format!("Node not empty: {shown}"),
        ErrorCode::NOT_READ_ONLY => format!("Not a read-only call: {shown}"),
        ErrorCode::INVALID_ACL => format!("Acl is not valid : {shown}"),
        ErrorCode::NO_AUTH => format!("Insufficient permission : {shown}"),
        ErrorCode::BAD_ARGUMENTS => format!("Arguments are not valid : {shown}"),
        ErrorCode::BAD_VERSION => format!("version No is not valid : {shown}"),
        ErrorCode::RECONFIG_IN_PROGRESS => {
            "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)".into()
        }
        ErrorCode::NEW_CONFIG_NO_QUORUM => "No quorum of new config is connected and up-to-date with the leader of \
                                            last commmitted config - try invoking reconfiguration after new servers \
                                            are connected and synced"
            .into(),
        ErrorCode::QUOTA_EXCEEDED => format!("Quota has exceeded : {shown}"),
        _ => plain_message(code, path),
    }
}

/// `KeeperException.getMessage`.
pub fn plain_message(code: ErrorCode, path: Option<&str>) -> String {
    let name = match code {
        ErrorCode::OK => "ok",
        ErrorCode::NOT_EMPTY => "Directory not empty",
        ErrorCode::SESSION_EXPIRED => "Session expired",
        ErrorCode::INVALID_CALLBACK => "Invalid callback",
        ErrorCode::SESSION_MOVED => "Session moved",
        ErrorCode::NOT_READ_ONLY => "Not a read-only call",
        ErrorCode::EPHEMERAL_ON_LOCAL_SESSION => "Ephemeral node on local session",
        ErrorCode::NO_WATCHER => "No such watcher",
        ErrorCode::RECONFIG_DISABLED => "Reconfig is disabled",
        ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH => "Session closed because client failed to authenticate",
        ErrorCode::QUOTA_EXCEEDED => "Quota has exceeded",
        ErrorCode::THROTTLED_OP => "Op throttled due to high load",
        ErrorCode::REQUEST_TIMEOUT => "Unknown error REQUESTTIMEOUT",
        _ => code.name().unwrap_or("Unknown error"),
    };
    match path {
        Some(path) if !path.is_empty() => format!("KeeperErrorCode = {name} for {path}"),
        _ => format!("KeeperErrorCode = {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_original() {
        let rows = [
            (ErrorCode::NO_NODE, Some("/a"), "Node does not exist: /a"),
            (ErrorCode::INVALID_ACL, None, "Acl is not valid : null"),
            (ErrorCode::NO_AUTH, Some(""), "Insufficient permission : "),
            (ErrorCode::NO_WATCHER, Some("/a"), "KeeperErrorCode = No such watcher for /a"),
            (ErrorCode::RECONFIG_DISABLED, Some(""), "KeeperErrorCode = Reconfig is disabled"),
            (ErrorCode::CONNECTION_LOSS, Some("/a"), "KeeperErrorCode = ConnectionLoss for /a"),
            (ErrorCode::UNIMPLEMENTED, Some("/ttl"), "KeeperErrorCode = Unimplemented for /ttl"),
        ];
        for (code, path, text) in rows {
            assert_eq!(Failure::keeper(code, path).message(), text);
        }
        assert_eq!(plain_message(ErrorCode::NO_AUTH, Some("/a")), "KeeperErrorCode = NoAuth for /a");
    }
}
