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
    ("1.2.840.113549.2.2", Algorithm::Md2),
    ("MD5", Algorithm::Md5),
    ("1.2.840.113549.2.5", Algorithm::Md5),
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
