//! Options of one command, sorted out as `org.apache.commons.cli.DefaultParser` 1.5 does it, its error texts included.
//! Knows no command. Next room: `commands`, where each command declares what it takes.

use std::fmt::Write;

/// An option of a command.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Its name, which stands behind one dash.
    pub name: &'static str,
    /// Whether a value follows.
    pub valued: bool,
    /// What it is for.
    pub text: &'static str,
}

/// An option without a value.
pub const fn flag(name: &'static str, text: &'static str) -> Opt {
    Opt { name, valued: false, text }
}

/// An option that a value follows.
pub const fn valued(name: &'static str, text: &'static str) -> Opt {
    Opt { name, valued: true, text }
}

/// Which of the options may stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Together {
    /// Any.
    Any,
    /// At most one.
    AtMostOne,
    /// Exactly one.
    One,
}

/// What a command takes.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The options.
    pub all: &'static [Opt],
    /// Which of them may stand together.
    pub together: Together,
}

/// A command line whose options are sorted out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    given: Vec<(&'static str, Option<String>)>,
    /// What is no option: the command itself first.
    pub words: Vec<String>,
}

impl Parsed {
    /// Whether an option was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The value of an option; of several the first.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == name)?.1.as_deref()
    }

    /// The first word behind the command.
    pub fn path(&self) -> &str {
        self.word(1).unwrap_or_default()
    }

    /// A word; the command itself is number 0.
    pub fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(String::as_str)
    }
}

impl Options {
    /// No options.
    pub const NONE: Options = Options::any(&[]);

    /// Options of which any may stand together.
    pub const fn any(all: &'static [Opt]) -> Self {
        Options { all, together: Together::Any }
    }

    fn find(&self, name: &str) -> Option<&'static Opt> {
        self.all.iter().find(|option| option.name == name)
    }

    /// Sorts `words`, or says with the parser's words what is wrong.
    pub fn parse(&self, words: &[String]) -> Result<Parsed, String> {
        let mut parser = Parser { options: self, parsed: Parsed::default(), open: None };
        let mut plain = false;
        for word in words {
            match () {
                () if plain => parser.parsed.words.push(word.clone()),
                () if word == "--" => plain = true,
                () if parser.open.is_some() && !self.is_option(word) => parser.fill(word),
                () if word.starts_with("--") => return Err(unrecognized(word)),
                () if word.starts_with('-') && word != "-" => parser.option(word)?,
                () => parser.parsed.words.push(word.clone()),
            }
        }
        parser.expect_no_value()?;
        if self.together == Together::One && parser.parsed.given.is_empty() {
            return Err(missing(self.all));
        }
        Ok(parser.parsed)
    }

    /// Whether a word would be an option where a value is expected. Negative numbers never are: no option is a digit.
    fn is_option(&self, word: &str) -> bool {
        let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else { return false };
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        self.find(name).is_some()
            || name.chars().next().is_some_and(|first| self.find(first.encode_utf8(&mut [0; 4])).is_some())
    }

    /// The options with what they are for, a line each, as `HelpFormatter` prints them.
    pub fn help(&self) -> String {
        let mut sorted: Vec<_> = self.all.iter().collect();
        sorted.sort_by_key(|option| option.name.to_lowercase());
        let left = |option: &Opt| format!(" -{}{}", option.name, if option.valued { " <arg>" } else { "" });
        let width = sorted.iter().map(|option| left(option).len()).max().unwrap_or(0);
        sorted.iter().fold(String::new(), |mut text, option| {
            let _ = writeln!(text, "{:width$}   {}", left(option), option.text);
            text
        })
    }
}

struct Parser<'o> {
    options: &'o Options,
    parsed: Parsed,
    /// The option that waits for its value.
    open: Option<&'static Opt>,
}

impl Parser<'_> {
    /// One word that begins with a dash: an option, several in one, or one with its value.
    fn option(&mut self, word: &str) -> Result<(), String> {
        let name = &word[1..];
        if let Some((name, value)) = name.split_once('=') {
            return match self.options.find(name).filter(|option| option.valued && name.chars().count() == 1) {
                Some(option) => {
                    self.take(option)?;
                    self.fill(value);
                    Ok(())
                }
                None => Err(unrecognized(word)),
            };
        }
        if let Some(option) = self.options.find(name) {
            return self.take(option);
        }
        for (at, letter) in name.char_indices() {
            let option = self.options.find(letter.encode_utf8(&mut [0; 4])).ok_or_else(|| unrecognized(word))?;
            self.take(option)?;
            let rest = &name[at + letter.len_utf8()..];
            if option.valued && !rest.is_empty() {
                self.fill(rest);
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, option: &'static Opt) -> Result<(), String> {
        self.expect_no_value()?;
        let other = self.parsed.given.iter().map(|(name, _)| *name).find(|name| *name != option.name);
        if let Some(other) = other.filter(|_| self.options.together != Together::Any) {
            return Err(format!(
                "org.apache.commons.cli.AlreadySelectedException: The option '{}' was specified but an option from \
                 this group has already been selected: '{other}'",
                option.name
            ));
        }
        self.parsed.given.push((option.name, None));
        self.open = option.valued.then_some(option);
        Ok(())
    }

    fn fill(&mut self, value: &str) {
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = unquoted.filter(|inner| !inner.contains('"')).unwrap_or(value);
        if let Some((_, slot)) = self.parsed.given.last_mut() {
            *slot = Some(value.to_owned());
        }
        self.open = None;
    }

    fn expect_no_value(&self) -> Result<(), String> {
        match self.open {
            Some(option) => Err(format!(
                "org.apache.commons.cli.MissingArgumentException: Missing argument for option: {}",
                option.name
            )),
            None => Ok(()),
        }
    }
}

fn unrecognized(word: &str) -> String {
    format!("org.apache.commons.cli.UnrecognizedOptionException: Unrecognized option: {word}")
}

fn missing(options: &[Opt]) -> String {
    let each: Vec<_> = options.iter().map(|option| format!("-{} {}", option.name, option.text)).collect();
    format!("org.apache.commons.cli.MissingOptionException: Missing required option: [{}]", each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GET: Options = Options::any(&[flag("s", "stat"), flag("w", "watch"), valued("v", "version")]);
    const QUOTA: Options = Options { all: &[valued("n", "num"), valued("N", "hard num")], together: Together::One };
    const RECONFIG: Options = Options::any(&[valued("file", "f"), valued("add", "a"), flag("s", "stat")]);

    fn parse(options: &Options, line: &str) -> Result<String, String> {
        let words = super::super::words::split(line);
        let parsed = options.parse(&words)?;
        let given = parsed.given.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => (*name).to_owned(),
        });
        Ok(format!("{} | {}", given.collect::<Vec<_>>().join(" "), parsed.words.join(" ")))
    }

    /// Asked of commons-cli 1.5.
    #[test]
    fn options_stand_anywhere_together_and_with_their_values() {
        let rows = [
            ("get /a", " | get /a"),
            ("get -s /a", "s | get /a"),
            ("get /a -s -w", "s w | get /a"),
            ("get -sw /a", "s w | get /a"),
            ("get -v 3 /a", "v=3 | get /a"),
            ("get -v -1 /a", "v=-1 | get /a"),
            ("get -v3 /a", "v=3 | get /a"),
            ("get -v=3 /a", "v=3 | get /a"),
            ("get -swv 3 /a", "s w v=3 | get /a"),
            ("get -v -x /a", "v=-x | get /a"),
            ("get -- -s /a", " | get -s /a"),
            ("get -", " | get -"),
            ("get -s -s", "s s | get"),
        ];
        for (line, expected) in rows {
            assert_eq!(parse(&GET, line).as_deref(), Ok(expected), "{line}");
        }
        assert_eq!(parse(&RECONFIG, "reconfig -file a -s").as_deref(), Ok("file=a s | reconfig"));
    }

    /// Asked of commons-cli 1.5.
    #[test]
    fn mistakes_have_the_words_of_the_original() {
        let p = "org.apache.commons.cli.";
        let rows = [
            (GET, "get -q /a", "UnrecognizedOptionException: Unrecognized option: -q"),
            (GET, "get -sq /a", "UnrecognizedOptionException: Unrecognized option: -sq"),
            (GET, "get --stat", "UnrecognizedOptionException: Unrecognized option: --stat"),
            (GET, "set /a -1", "UnrecognizedOptionException: Unrecognized option: -1"),
            (GET, "get /a -v", "MissingArgumentException: Missing argument for option: v"),
            (GET, "get -v -s /a", "MissingArgumentException: Missing argument for option: v"),
            (RECONFIG, "reconfig -file=a", "UnrecognizedOptionException: Unrecognized option: -file=a"),
            (QUOTA, "setquota /a", "MissingOptionException: Missing required option: [-n num, -N hard num]"),
            (
                QUOTA,
                "setquota -n 1 -N 2 /a",
                "AlreadySelectedException: The option 'N' was specified but an option from this group has already \
                 been selected: 'n'",
            ),
        ];
        for (options, line, expected) in rows {
            assert_eq!(parse(&options, line), Err(format!("{p}{expected}")), "{line}");
        }
    }

    #[test]
    fn help_is_a_line_for_each_option() {
        assert_eq!(GET.help(), " -s         stat\n -v <arg>   version\n -w         watch\n");
    }

    proptest! {
        #[test]
        fn any_words_end_in_an_answer(words in proptest::collection::vec("[-svqé=\"1 ]{0,5}", 0..6)) {
            let _ = GET.parse(&words);
            let _ = QUOTA.parse(&words);
            let _ = RECONFIG.parse(&words);
        }
    }
}
