//! Names of the x509 scheme: which texts Java's `X500Principal` takes as a distinguished name (its default format, a
//! superset of RFC 2253 and RFC 1779). Knows only their syntax: nothing is kept, an ACL stores the text as sent.
//! It differs on purpose where Java counts quotes and backslashes wrongly: after a doubled backslash, and with a
//! separator inside the second quoted value of one `+` group.

/// Attribute names that need no number.
const KEYWORDS: &[&str] = &[
    "CN",
    "C",
    "L",
    "S",
    "ST",
    "O",
    "OU",
    "T",
    "IP",
    "STREET",
    "DC",
    "DNQUALIFIER",
    "DNQ",
    "SURNAME",
    "GIVENNAME",
    "INITIALS",
    "GENERATION",
    "EMAIL",
    "EMAILADDRESS",
    "UID",
    "SERIALNUMBER",
];
/// Characters that a backslash may stand before, beside two hexadecimal digits.
const ESCAPABLE: &str = ",=\n+<>#;\\\" ";
/// The same inside quotes.
const ESCAPABLE_IN_QUOTES: &str = ",=\n+<>#;\\\"";
/// Characters that need a backslash outside quotes.
const RESERVED: &str = "<>\"";

/// Whether an ACL may name this. The empty name is a name.
pub(super) fn is_valid(name: &str) -> bool {
    name.is_empty() || Parser { rest: name }.name().is_some()
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    /// Attributes with `,` `;` or `+` between them. `None` from any step means: not a name.
    fn name(&mut self) -> Option<()> {
        loop {
            self.keyword()?;
            self.value()?;
            match self.next() {
                None => return Some(()),
                Some(',' | ';' | '+') => {}
                Some(_) => return None,
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn at_end_of_value(&self) -> bool {
        matches!(self.peek(), None | Some(',' | ';' | '+'))
    }

    fn keyword(&mut self) -> Option<()> {
        let (keyword, rest) = self.rest.split_once('=')?;
        self.rest = rest;
        let keyword = keyword.trim_matches(|c: char| c <= ' ').to_uppercase();
        let number = keyword.strip_prefix("OID.").unwrap_or(&keyword);
        (KEYWORDS.contains(&keyword.as_str()) || is_oid(number)).then_some(())
    }

    fn value(&mut self) -> Option<()> {
        self.skip_blanks();
        match self.peek() {
            Some('#') => self.hex_value(),
            Some('"') => self.quoted_value(),
            _ => self.plain_value(),
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\n']);
    }

    /// `#` and the bytes of one DER value.
    fn hex_value(&mut self) -> Option<()> {
        self.next();
        let mut digits = String::new();
        while !self.at_end_of_value() {
            digits.push(self.next().filter(char::is_ascii_hexdigit)?);
        }
        let bytes: Option<Vec<u8>> = (0..digits.len())
            .step_by(2)
            .map(|at| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        is_one_der_value(&bytes?).then_some(())
    }

    fn quoted_value(&mut self) -> Option<()> {
        self.next();
        loop {
            match self.next()? {
                '"' => break,
                '\\' => self.escaped(ESCAPABLE_IN_QUOTES)?,
                _ => {}
            }
        }
        self.skip_blanks();
        self.at_end_of_value().then_some(())
    }

    fn plain_value(&mut self) -> Option<()> {
        while !self.at_end_of_value() {
            match self.next()? {
                '\\' => self.escaped(ESCAPABLE)?,
                reserved if RESERVED.contains(reserved) => return None,
                _ => {}
            }
        }
        Some(())
    }

    /// What follows a backslash.
    fn escaped(&mut self, escapable: &str) -> Option<()> {
        let first = self.next()?;
        if first.is_ascii_hexdigit() {
            return self.next().filter(char::is_ascii_hexdigit).map(|_| ());
        }
        escapable.contains(first).then_some(())
    }
}

/// Two or more numbers with dots between them, in the ranges of an object identifier.
fn is_oid(text: &str) -> bool {
    let numbers: Vec<&str> = text.split('.').collect();
    let digits = |number: &&str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.len() < 2 || !numbers.iter().all(digits) {
        return false;
    }
    let small = |number: &str| number.parse::<u64>().unwrap_or(u64::MAX);
    let (first, second) = (small(numbers[0]), small(numbers[1]));
    first == 2 || (first < 2 && second < 40)
}

/// A tag of one byte, a length (not necessarily in its shortest form), and that many bytes.
fn is_one_der_value(bytes: &[u8]) -> bool {
    let (Some(tag), Some(length)) = (bytes.first(), bytes.get(1)) else { return false };
    if tag & 0x1f == 0x1f {
        return false;
    }
    let content = &bytes[2..];
    if *length < 0x80 {
        return content.len() == usize::from(*length);
    }
    let size = usize::from(length & 0x7f);
    let (Some(size_bytes), true) = (content.get(..size), (1..=4).contains(&size)) else { return false };
    let long = size_bytes.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
    content.len() - size == long
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asked of Java's `X500Principal`.
    #[test]
    fn names_java_takes() {
        let names = [
            "",
            "CN=client1,OU=dev,O=Acme",
            "cn = a ; o=b+OU=c",
            "CN=",
            "CN=,O=",
            "CN==",
            "CN=a\\,b",
            "CN=a\\41",
            "CN=\\c3\\a9",
            "CN=é",
            "CN=\"a,b;c+d\"",
            "CN=\"\"",
            "CN=\"a\\\"b\" ",
            "CN= \"a\"\n",
            "CN=#0c0141",
            "CN=#13810161",
            "CN=#0500",
            "CN=a#b",
            "1.2.3=a",
            "oid.2.5.4.3=a",
            "2.999=a",
            "1.39=a",
            "01.2=a",
            "CN\n=a",
            "DNQ=a",
            "EMAIL=a",
            "S=a",
            "CN=a\nb",
            "2.5.4.3.99999999999999999999=a",
        ];
        for name in names {
            assert!(is_valid(name), "{name:?}");
        }
    }

    #[test]
    fn names_java_refuses() {
        let names = [
            " ",
            "a",
            "=",
            "=a",
            "CN",
            "CN=a,",
            "CN=a+",
            "CN=a,,O=b",
            "X=a",
            "E=a",
            "SN=a",
            "USERID=a",
            "1=a",
            "0.1.=a",
            "3.1.2=a",
            "1.40.1=a",
            "CN=a\\",
            "CN=a\\x",
            "CN=a\\4",
            "CN=a\\4g",
            "CN=<a>",
            "CN=a\"b",
            "CN=\"a",
            "CN=\"a\"b",
            "CN=\"a\\ b\"",
            "CN=#",
            "CN=#0",
            "CN=#0c",
            "CN=#0c0",
            "CN=#0c0561",
            "CN=#1f0100",
            "CN=#8",
            "CN=#1g",
            "CN=#138500000000",
            "é=a",
        ];
        for name in names {
            assert!(!is_valid(name), "{name:?}");
        }
    }
}
