//! What an operator is told when a configuration is refused or deserves a remark.
//! Knows nothing of keys or files beyond their names; who finds a fault fills it in, the caller prints it once.
//! Next room: `load.rs`.

use std::fmt;
use std::path::PathBuf;

/// The exit code of the original for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The original dies of an exception that nobody expected.
    Unexpected = 1,
    /// Bad arguments or configuration.
    Config = 2,
}

/// Why a configuration is refused: where, which key, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, if the fault is in one.
    pub file: Option<PathBuf>,
    /// The line in that file, counted from 1.
    pub line: Option<usize>,
    /// The key as the operator wrote it, if one key is to blame.
    pub key: Option<String>,
    /// What is wrong and what to do, in words.
    pub why: String,
    /// What the process should exit with.
    pub exit: ExitCode,
}

impl ConfigError {
    /// A refusal with exit code 2 that names no place yet.
    pub fn new(why: impl Into<String>) -> Self {
        Self { file: None, line: None, key: None, why: why.into(), exit: ExitCode::Config }
    }

    /// The same, for one key.
    pub fn key(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..Self::new(why) }
    }

    /// Says which line of the file it is about.
    pub fn at_line(mut self, line: Option<usize>) -> Self {
        self.line = self.line.or(line);
        self
    }

    /// Says which file it is about, unless that is known already.
    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file.get_or_insert_with(|| file.into());
        self
    }

    /// Says that the original ends with another exit code than 2.
    pub fn exit_with(mut self, exit: ExitCode) -> Self {
        self.exit = exit;
        self
    }

    /// The number to end the process with.
    pub fn exit_code(&self) -> u8 {
        self.exit as u8
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(out, "{}, line {line}: ", file.display())?,
            (Some(file), None) => write!(out, "{}: ", file.display())?,
            (None, Some(line)) => write!(out, "line {line}: ")?,
            (None, None) => {}
        }
        if let Some(key) = &self.key {
            write!(out, "{key}: ")?;
        }
        out.write_str(&self.why)
    }
}

impl std::error::Error for ConfigError {}

/// How loud a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// Of interest when looking for a fault.
    Debug,
    /// Good to know.
    Info,
    /// Probably not what the operator meant.
    Warn,
    /// Certainly not what the operator meant, though the server starts.
    Error,
}

/// A remark about a configuration that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How loud to say it.
    pub loudness: Loudness,
    /// The line of the configuration file it is about.
    pub line: Option<usize>,
    /// The key as the operator wrote it.
    pub key: Option<String>,
    /// The remark.
    pub text: String,
}

impl Note {
    /// A remark about a key on a line.
    pub fn new(loudness: Loudness, key: &str, line: Option<usize>, text: impl Into<String>) -> Self {
        Self { loudness, line, key: Some(key.to_owned()), text: text.into() }
    }

    /// A remark about the whole.
    pub fn general(loudness: Loudness, text: impl Into<String>) -> Self {
        Self { loudness, line: None, key: None, text: text.into() }
    }

    /// Says it through the process's log.
    pub fn log(&self) {
        match self.loudness {
            Loudness::Debug => tracing::debug!("{self}"),
            Loudness::Info => tracing::info!("{self}"),
            Loudness::Warn => tracing::warn!("{self}"),
            Loudness::Error => tracing::error!("{self}"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("configuration")?;
        if let Some(line) = self.line {
            write!(out, ", line {line}")?;
        }
        if let Some(key) = &self.key {
            write!(out, ", {key}")?;
        }
        write!(out, ": {}", self.text)
    }
}
