//! Four-letter words: four bytes in place of a length, a text, the end of the connection. Knows no sockets; the reactor
//! recognizes a word, the server gathers what the table says and asks here for the text.

use super::commands::{Command, Effect, all};
use super::view::View;

/// What a telnet client sends when it is closed. It is known, and answered by nothing.
pub const TELNET_CLOSE: [u8; 4] = [0xff, 0xf4, 0xff, 0xfd];

/// Bytes that follow `stmk`: the new mask, big-endian.
pub const TRACE_MASK_LEN: usize = 8;

/// Whether four bytes are a word and not the length of a frame.
pub fn is_word(bytes: [u8; 4]) -> bool {
    bytes == TELNET_CLOSE || command(bytes).is_some()
}

/// The command of a word; none for [`TELNET_CLOSE`].
pub fn command(bytes: [u8; 4]) -> Option<&'static Command> {
    all().find(|command| command.word.as_bytes() == bytes)
}

/// The answer to a word that the whitelist (`4lw.commands.whitelist`) does not name.
pub fn not_whitelisted(command: &Command) -> String {
    format!("{} is not executed because it is not in the whitelist.\n", command.word)
}

/// How many bytes of argument follow a word.
pub fn argument_len(bytes: [u8; 4]) -> usize {
    if bytes == *b"stmk" { TRACE_MASK_LEN } else { 0 }
}

impl Command {
    /// What running the word changes, to be done before the view is taken and the text is made. `argument` are the bytes
    /// behind the word; a mask that is cut short changes nothing.
    pub fn effect(&self, serving: bool, argument: &[u8]) -> Option<Effect> {
        if self.word == "stmk" {
            let mask = argument.first_chunk::<TRACE_MASK_LEN>()?;
            return Some(Effect::SetTraceMask(i64::from_be_bytes(*mask)));
        }
        self.effect.filter(|_| serving)
    }

    /// The text of the answer; the connection is closed behind it.
    pub fn text(&self, view: &View) -> String {
        match self.not_serving {
            Some(text) if !view.serving => text.to_owned(),
            _ => {
                let mut text = String::new();
                (self.text)(view, &mut text);
                text
            }
        }
    }
}
