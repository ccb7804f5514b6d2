//! Answers four-letter words: gathers what the command needs from the rooms that know it.

use super::reactor_thread::ReactorShared;

/// The operator's four-letter words.
pub struct Words {
    /// Which may be used (`4lw.commands.whitelist`); a star allows all.
    pub whitelist: Vec<String>,
}

impl Words {
    /// The text of a word; the connection is closed behind it.
    pub async fn answer(&self, _shared: &ReactorShared, word: [u8; 4], _argument: &[u8]) -> String {
        let word = String::from_utf8_lossy(&word).into_owned();
        if !self.whitelist.iter().any(|allowed| allowed == "*" || *allowed == word) {
            return format!("{word} is not executed because it is not in the whitelist.\n");
        }
        match word.as_str() {
            "ruok" => "imok".into(),
            _ => String::new(),
        }
    }
}
