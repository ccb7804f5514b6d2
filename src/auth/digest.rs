//! The digest scheme: `user:base64(hash("user:password"))`, by any hash function the original knows.
//! Knows nothing of connections. The JCA names are those of Java 17's own provider.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Algorithm {
    Md2,
    Md5,
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Over224,
    Sha512Over256,
    Sha3Of224,
    Sha3Of256,
    Sha3Of384,
    Sha3Of512,
}

/// `digestAlg` names a function that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown ACL digest algorithm {0}")]
pub struct UnknownAlgorithm(pub String);

/// Names and aliases; Java compares them without regard to case.
const NAMES: &[(&str, Algorithm)] = &[
    ("SHA1", Algorithm::Sha1),
    ("SHA-1", Algorithm::Sha1),
    ("SHA", Algorithm::Sha1),
    ("1.3.14.3.2.26", Algorithm::Sha1),
    ("MD2", Algorithm::Md2),
    ("MD5", Algorithm::Md5),
    ("SHA-224", Algorithm::Sha224),
    ("SHA224", Algorithm::Sha224),
    ("2.16.840.1.101.3.4.2.4", Algorithm::Sha224),
    ("SHA-256", Algorithm::Sha256),
    ("SHA256", Algorithm::Sha256),
    ("2.16.840.1.101.3.4.2.1", Algorithm::Sha256),
    ("SHA-384", Algorithm::Sha384),
    ("SHA384", Algorithm::Sha384),
    ("2.16.840.1.101.3.4.2.2", Algorithm::Sha384),
    ("SHA-512", Algorithm::Sha512),
    ("SHA512", Algorithm::Sha512),
    ("2.16.840.1.101.3.4.2.3", Algorithm::Sha512),
    ("SHA-512/224", Algorithm::Sha512Over224),
    ("SHA512/224", Algorithm::Sha512Over224),
    ("2.16.840.1.101.3.4.2.5", Algorithm::Sha512Over224),
    ("SHA-512/256", Algorithm::Sha512Over256),
    ("SHA512/256", Algorithm::Sha512Over256),
    ("2.16.840.1.101.3.4.2.6", Algorithm::Sha512Over256),
    ("SHA3-224", Algorithm::Sha3Of224),
    ("2.16.840.1.101.3.4.2.7", Algorithm::Sha3Of224),
    ("SHA3-256", Algorithm::Sha3Of256),
    ("2.16.840.1.101.3.4.2.8", Algorithm::Sha3Of256),
    ("SHA3-384", Algorithm::Sha3Of384),
    ("2.16.840.1.101.3.4.2.9", Algorithm::Sha3Of384),
    ("SHA3-512", Algorithm::Sha3Of512),
    ("2.16.840.1.101.3.4.2.10", Algorithm::Sha3Of512),
];

impl Algorithm {
    /// Finds a function by its JCA name.
    pub fn parse(name: &str) -> Result<Self, UnknownAlgorithm> {
        let plain = name.get(..4).filter(|start| start.eq_ignore_ascii_case("OID.")).map_or(name, |_| &name[4..]);
        let found = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(plain));
        found.map(|(_, algorithm)| *algorithm).ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }

    /// The hash of some bytes.
    pub fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Algorithm::Md2 => md2::Md2::digest(bytes).to_vec(),
            Algorithm::Md5 => md5::Md5::digest(bytes).to_vec(),
            Algorithm::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            Algorithm::Sha224 => sha2::Sha224::digest(bytes).to_vec(),
            Algorithm::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            Algorithm::Sha384 => sha2::Sha384::digest(bytes).to_vec(),
            Algorithm::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
            Algorithm::Sha512Over224 => sha2::Sha512_224::digest(bytes).to_vec(),
            Algorithm::Sha512Over256 => sha2::Sha512_256::digest(bytes).to_vec(),
            Algorithm::Sha3Of224 => sha3::Sha3_224::digest(bytes).to_vec(),
            Algorithm::Sha3Of256 => sha3::Sha3_256::digest(bytes).to_vec(),
            Algorithm::Sha3Of384 => sha3::Sha3_384::digest(bytes).to_vec(),
            Algorithm::Sha3Of512 => sha3::Sha3_512::digest(bytes).to_vec(),
        }
    }

    /// The identity of `user:password`. Without a colon the whole text is both the user and what is hashed.
    pub fn identity(self, credentials: &str) -> String {
        format!("{}:{}", user(credentials), STANDARD.encode(self.hash(credentials.as_bytes())))
    }
}

/// The user part: what stands in front of the first colon.
pub(super) fn user(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

/// Whether an ACL may name this id: two parts as Java splits them, empty parts at the end not counted.
pub(super) fn is_valid(id: &str) -> bool {
    let parts = id.trim_end_matches(':').split(':').count();
    parts == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Java 17 makes of `super:secret`.
    const JAVA: &[(&str, &str)] = &[
        ("SHA1", "lK75jTNcA+U9vtVEw5vB51mj/w4="),
        ("MD2", "lSzLt0eKkY9eVbS+EGT7Nw=="),
        ("MD5", "a0jjl2hSRgOYyP70Eq+wUw=="),
        ("SHA-224", "SLmP5pzv7J/lzB7FLtFE6OUZQ/8aiqll5AYE4w=="),
        ("SHA-256", "WTA5ucCHTdJq645xIMibj8HviTPeB5mMuJ4/+v1dIEw="),
        ("SHA-384", "yaR4GNq//Zm1FIAZgRDJRLsjqeAhcFB1gCgPuP6H7HvhX1mS/VXzN0yzopiOx2BJ"),
        ("SHA-512", "YCUumaodxrQ8ju8rJ0IaMlm8XX/1KyZEsjkowYsnA9bsE7LNCzc8Manpy55Ds+mDeMOYNh9+komaD5MRpOIkHg=="),
        ("SHA-512/224", "C+D1Ck+MJyQXmPzio8wNhK2kCKaXn/0Og08zzA=="),
        ("SHA-512/256", "KBy0TIF51hD+Dr4wcFk0avm0bSypEbyLoGAgI9Pc2WA="),
        ("SHA3-224", "6RFSMMHf4EyJt7Wtdfr+De0N7vX+wbBfdo4QoA=="),
        ("SHA3-256", "WC0fcBtN15KqFfwpcvg0TG3tZUPFtDZkMpN7SZ6bt4g="),
        ("SHA3-384", "w66s+uAgwmP2PeHOLHcf0PprxANnxqPqLv2uJ954u0H2PSXUzK4UkZIC6+Kip1p2"),
        ("SHA3-512", "aZ/+VdHwC0eYFCDZP6jKlvGMuTK0OrbD2+LzIwh1kO6QH9XyQD9WRWfcFLrcv8gfQLI2xxJzcM7b8i13wy3Lbg=="),
    ];

    #[test]
    fn every_function_gives_the_identity_that_java_gives() {
        for (name, digest) in JAVA {
            let algorithm = Algorithm::parse(name).unwrap();
            assert_eq!(algorithm.identity("super:secret"), format!("super:{digest}"), "{name}");
        }
    }

    #[test]
    fn names_are_found_as_java_finds_them() {
        for name in ["sha", "Sha-1", "oid.1.3.14.3.2.26", "OID.1.3.14.3.2.26", "1.3.14.3.2.26"] {
            assert_eq!(Algorithm::parse(name), Ok(Algorithm::Sha1), "{name}");
        }
        assert_eq!(Algorithm::parse("sha256"), Ok(Algorithm::Sha256));
        assert_eq!(Algorithm::parse("2.16.840.1.101.3.4.2.10"), Ok(Algorithm::Sha3Of512));
        for name in ["", " SHA1", "md-5", "1.2.840.113549.2.5", "SHA3256", "crc32", "OID.", "é3é"] {
            assert_eq!(Algorithm::parse(name), Err(UnknownAlgorithm(name.to_owned())), "{name}");
        }
    }

    #[test]
    fn text_without_a_colon_is_user_and_password() {
        assert_eq!(Algorithm::Sha1.identity("bob"), "bob:SBgazSKz7a68ikR4aKfffOYpkgo=");
        assert_eq!(Algorithm::Sha1.identity(""), ":2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
        assert_eq!(user(&Algorithm::Sha1.identity("a:b:c")), "a");
    }
}
