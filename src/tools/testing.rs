//! Golden folders on a real disk, and tools run in this process.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Parser;
use tempfile::TempDir;

use super::output::{Failure, Output};

/// The folder of a case, unpacked: `data`, and `datalog` where there is one.
pub(super) fn golden(name: &str) -> TempDir {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/testdata/golden/{name}.tar.gz"));
    let folder = tempfile::tempdir().unwrap();
    let bytes = flate2::read::GzDecoder::new(std::fs::File::open(archive).unwrap());
    tar::Archive::new(bytes).unpack(folder.path()).unwrap();
    folder
}

/// The names of all cases.
pub(super) fn cases() -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/testdata/golden");
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut cases: Vec<_> = names.filter_map(|name| Some(name.strip_suffix(".tar.gz")?.to_owned())).collect();
    cases.sort();
    cases
}

/// Every file below a folder with its content, to prove that nothing was changed.
pub(super) fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut stack = vec![dir.to_owned()];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
            } else {
                let mut bytes = Vec::new();
                std::fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}

/// A sink that remembers.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shared {
    /// What was written.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Runs a tool: exit code, what it printed, and what it complained of at the end.
pub(super) fn tool<S: AsRef<str>>(words: &[S]) -> (u8, Vec<u8>, String) {
    let words = std::iter::once("oxkeeper").chain(words.iter().map(AsRef::as_ref));
    let cli = super::Cli::try_parse_from(words).unwrap();
    let shared = Shared::default();
    let mut out = Output::to(shared.clone());
    let (code, text) = match super::execute(cli.command, &mut out) {
        Ok(code) => (code, String::new()),
        Err(Failure { text, code }) => (code, text),
    };
    let printed = shared.0.lock().unwrap().clone();
    (code, printed, text)
}

/// The same, with text.
pub(super) fn text<S: AsRef<str>>(words: &[S]) -> (u8, String, String) {
    let (code, printed, complaint) = tool(words);
    (code, String::from_utf8(printed).unwrap(), complaint)
}
