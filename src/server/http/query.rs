//! What a request's address says, decoded; and what the process tells of itself as Java's system properties would.

use crate::admin::environment::Environment;
use std::collections::BTreeMap;

/// The parameters behind the question mark; of several with one name the first counts.
pub fn parameters(query: Option<&str>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        found.entry(decoded(name, true)).or_insert_with(|| decoded(value, true));
    }
    found
}

/// Percent signs undone; `plus` is a blank in parameters and itself in a path.
pub fn decoded(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    let digit = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
    while let Some(byte) = bytes.get(at) {
        match (*byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 2;
            }
            (b'+', ..) if plus => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

/// The properties of the original that mean something here, by Java's names.
pub fn process_properties() -> Vec<(String, String)> {
    let fixed =
        [("file.encoding", "UTF-8"), ("file.separator", "/"), ("line.separator", "\n"), ("path.separator", ":")];
    let named = ["java.io.tmpdir", "os.arch", "os.name", "os.version", "user.dir", "user.home", "user.name"];
    let environment = Environment::of_this_process().entries.into_iter();
    let environment = environment.filter(|(name, _)| named.contains(name)).map(|(name, value)| (name.into(), value));
    fixed.into_iter().map(|(name, value)| (name.into(), value.into())).chain(environment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_the_first_counts() {
        let found = parameters(Some("traceMask=30%36&traceMask=1&a+b=c%2Bd+e&&x&%zz=%4"));
        let pairs: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("%zz", "%4"), ("a b", "c+d e"), ("traceMask", "306"), ("x", "")]);
        assert!(parameters(None).is_empty());
        assert_eq!(decoded("/a%2Fb+%C3%A9%ff", false), "/a/b+é\u{fffd}");
    }
}
