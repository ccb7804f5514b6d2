//! Who a connection is and what it may do: identities, the permission check, the fix-up of access lists.
//! Knows the schemes and nothing of sockets, trees, clocks or property names; the server hands in plain values.
//! The schemes live in `digest`, `ip` and `names`; who asks is the request pipeline.

mod digest;
mod ip;
mod names;
mod x500;

#[cfg(test)]
mod tests;

pub use digest::{Algorithm, UnknownAlgorithm};
pub use ip::identity as ip_identity;

use crate::jute::lossy;
use crate::proto::ErrorCode;
use crate::proto::acl::{Acl, AclEntry, Id};
use std::collections::HashSet;
use std::net::IpAddr;

/// Identities one connection may collect. The original has no limit; a client that adds them for ever would fill memory.
pub const IDENTITIES_MAX: usize = 1_000;
/// Bytes of identities one connection may collect.
pub const IDENTITY_BYTES_MAX: usize = 4 << 20;
/// Bytes that `auth` entries of one request may expand to: entries times identities grows out of proportion.
pub const EXPANSION_BYTES_MAX: usize = 1 << 20;

/// Everything that decides about identities and permissions. The default is a server without any setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `skipACL`: nothing is checked.
    pub skip_acl: bool,
    /// `DigestAuthenticationProvider.enabled`.
    pub digest_enabled: bool,
    /// `DigestAuthenticationProvider.digestAlg`.
    pub digest_algorithm: Algorithm,
    /// `DigestAuthenticationProvider.superDigest`: the digest identity that is also a super user.
    pub super_digest: Option<String>,
    /// The SASL provider is registered: `sasl` entries are valid and match.
    pub sasl: bool,
    /// `letAnySaslUserDoX`: an entry with exactly this id matches each SASL identity.
    pub let_any_sasl_user: Option<String>,
    /// Values of `superUser` and `superUser.*`: SASL identities that are super users.
    pub sasl_super_users: Vec<String>,
    /// The X.509 provider is registered.
    pub x509: bool,
    /// `X509AuthenticationProvider.superUser`.
    pub x509_super_user: Option<String>,
    /// The ensemble provider is registered.
    pub ensemble: bool,
    /// `ensembleAuthName`, split by [`Policy::parse_ensemble_names`]; `None` accepts every name.
    pub ensemble_names: Option<Vec<String>>,
    /// Schemes of which a connection must hold one (`enforce.auth.schemes`, or `sasl` when sessions require SASL);
    /// `None` when nothing is enforced.
    pub enforced_schemes: Option<Vec<String>>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            skip_acl: false,
            digest_enabled: true,
            digest_algorithm: Algorithm::default(),
            super_digest: None,
            sasl: false,
            let_any_sasl_user: None,
            sasl_super_users: Vec::new(),
            x509: false,
            x509_super_user: None,
            ensemble: false,
            ensemble_names: None,
            enforced_schemes: None,
        }
    }
}

/// What an auth packet comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthOutcome {
    /// Reply ok; the connection has these identities more (those it holds already may be among them).
    Accepted(Vec<Id>),
    /// Reply `AUTH_FAILED`, then close.
    Refused(Refusal),
    /// The client named another ensemble: close without a word, so that it tries another server
    /// (`EnsembleAuthenticationProvider`; a reply would make it give up for good).
    WrongEnsemble,
}

/// Why an auth packet was refused; for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No provider of that name.
    #[error("no provider for the scheme")]
    UnknownScheme,
    /// The data was null.
    #[error("no credentials in the packet")]
    NoData,
    /// SASL has its own exchange.
    #[error("sasl identities are only made by the SASL exchange")]
    SaslPacket,
    /// X.509 identities come from the TLS handshake.
    #[error("the connection has no client certificate")]
    NoCertificate,
    /// More than [`IDENTITIES_MAX`] or [`IDENTITY_BYTES_MAX`].
    #[error("the connection holds too many identities")]
    TooManyIdentities,
}

/// A setting that contradicts another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Authentication is enforced, but by no scheme.
    #[error("zookeeper.enforce.auth.enabled is true, so zookeeper.enforce.auth.schemes must be configured")]
    NoEnforcedScheme,
    /// Authentication is enforced by a scheme that has no provider.
    #[error("authentication scheme {0} in zookeeper.enforce.auth.schemes is not available")]
    UnknownEnforcedScheme(String),
}

/// A provider: what a scheme name means on this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    Ip,
    Digest,
    Sasl,
    X509,
    Ensemble,
}

impl Policy {
    /// Splits `ensembleAuthName` at its commas.
    pub fn parse_ensemble_names(names: &str) -> Vec<String> {
        names.split(',').map(|name| name.trim().to_owned()).collect()
    }

    /// Refuses settings that would lock everybody out; to be asked once, at the start.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let Some(schemes) = &self.enforced_schemes else { return Ok(()) };
        if schemes.is_empty() {
            return Err(PolicyError::NoEnforcedScheme);
        }
        match schemes.iter().find(|scheme| self.provider(scheme).is_none()) {
            Some(scheme) => Err(PolicyError::UnknownEnforcedScheme(scheme.clone())),
            None => Ok(()),
        }
    }

    /// The provider of a scheme, if this server has it (`ProviderRegistry`). `world`, `auth` and `super` have none.
    /// The sample provider `key` is left out: it judges by data in the tree, and exists to be copied, not used.
    fn provider(&self, scheme: &str) -> Option<Provider> {
        match scheme {
            "ip" => Some(Provider::Ip),
            "digest" if self.digest_enabled => Some(Provider::Digest),
            "sasl" if self.sasl => Some(Provider::Sasl),
            "x509" if self.x509 => Some(Provider::X509),
            "ensemble" if self.ensemble => Some(Provider::Ensemble),
            _ => None,
        }
    }

    /// Whether a connection with these identities has one of the wanted permissions (`ZooKeeperServer.checkACL`).
    /// No list, or an empty one, is open to all.
    pub fn permits(&self, list: Option<&[Acl]>, wanted: i32, ids: &[Id]) -> bool {
        let list = list.unwrap_or_default();
        list.is_empty() || self.is_unbound(ids) || list.iter().any(|acl| self.grants(acl, wanted, ids))
    }

    /// Whether each single one of the wanted permissions is given (the admin server's rule for snapshot and restore).
    pub fn permits_each(&self, list: Option<&[Acl]>, wanted: i32, ids: &[Id]) -> bool {
        (0..32).map(|bit| wanted & (1 << bit)).filter(|bit| *bit != 0).all(|bit| self.permits(list, bit, ids))
    }

    /// True for a super user, and for everybody when lists are not checked. Such a connection needs no list at all.
    pub fn is_unbound(&self, ids: &[Id]) -> bool {
        self.skip_acl || ids.iter().any(|id| id.scheme == "super")
    }

    fn grants(&self, acl: &Acl, wanted: i32, ids: &[Id]) -> bool {
        if acl.perms & wanted == 0 {
            return false;
        }
        if is_anyone(&acl.id.scheme, &acl.id.id) {
            return true;
        }
        let Some(provider) = self.provider(&acl.id.scheme) else { return false };
        ids.iter().any(|id| id.scheme == acl.id.scheme && self.matches(provider, &id.id, &acl.id.id))
    }

    fn matches(&self, provider: Provider, id: &str, expression: &str) -> bool {
        match provider {
            Provider::Ip => ip::matches(id, expression),
            Provider::Digest => id == expression,
            Provider::Sasl => {
                id == expression || id == "super" || self.let_any_sasl_user.as_deref() == Some(expression)
            }
            Provider::X509 => id == expression || self.x509_super_user.as_deref() == Some(id),
            Provider::Ensemble => false,
        }
    }

    /// The list that create and setACL store for the list a client sent (`PrepRequestProcessor.fixupACL`): without
    /// duplicates, judged entry by entry, `auth` replaced by the connection's own identities.
    /// A null id is `INVALID_ACL` only where nobody looks at it; else the original falls over it: `MARSHALLING_ERROR`.
    pub fn fix_acl(&self, acl: &Option<Vec<AclEntry<'_>>>, ids: &[Id]) -> Result<Vec<Acl>, ErrorCode> {
        let sent = acl.as_deref().unwrap_or_default();
        if sent.is_empty() {
            return Err(ErrorCode::INVALID_ACL);
        }
        let mut fixed = Vec::with_capacity(sent.len());
        let mut expansion = Expansion { ids: self.proven(ids), bytes_left: EXPANSION_BYTES_MAX };
        for entry in without_duplicates(sent)? {
            let Some(scheme) = entry.scheme.as_deref() else { return Err(ErrorCode::INVALID_ACL) };
            match scheme {
                "auth" => expansion.expand(entry.perms, &mut fixed)?,
                _ => {
                    let id = self.valid_id(scheme, entry.id.as_deref())?;
                    fixed.push(Acl::new(entry.perms, scheme, id));
                }
            }
        }
        Ok(fixed)
    }

    /// The id of an entry, if its scheme takes it.
    fn valid_id<'a>(&self, scheme: &str, id: Option<&'a str>) -> Result<&'a str, ErrorCode> {
        if scheme == "world" {
            return match id {
                Some("anyone") => Ok("anyone"),
                Some(_) => Err(ErrorCode::INVALID_ACL),
                None => Err(ErrorCode::MARSHALLING_ERROR),
            };
        }
        let provider = self.provider(scheme).ok_or(ErrorCode::INVALID_ACL)?;
        if provider == Provider::Ensemble {
            return Err(ErrorCode::INVALID_ACL);
        }
        let id = id.ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let valid = match provider {
            Provider::Ip => ip::is_valid(id),
            Provider::Digest => digest::is_valid(id),
            Provider::Sasl => names::is_kerberos_name(id),
            Provider::X509 => x500::is_valid(id),
            Provider::Ensemble => false,
        };
        if valid { Ok(id) } else { Err(ErrorCode::INVALID_ACL) }
    }

    /// The identities that `auth` stands for: those of providers that prove something. An address proves nothing,
    /// and `super` has no provider.
    fn proven<'a>(&self, ids: &'a [Id]) -> Vec<&'a Id> {
        let proves =
            |id: &&Id| matches!(self.provider(&id.scheme), Some(Provider::Digest | Provider::Sasl | Provider::X509));
        ids.iter().filter(proves).collect()
    }

    /// Judges an auth packet of a connection from `remote` that holds `ids`.
    pub fn authenticate(&self, scheme: Option<&str>, data: Option<&[u8]>, remote: IpAddr, ids: &[Id]) -> AuthOutcome {
        let added = match scheme.and_then(|scheme| self.provider(scheme)) {
            None => Err(Refusal::UnknownScheme),
            Some(Provider::Ip) => Ok(vec![ip_identity(remote)]),
            Some(Provider::Digest) => data.ok_or(Refusal::NoData).map(|data| self.digest_ids(data)),
            Some(Provider::Sasl) => Err(Refusal::SaslPacket),
            // The handshake has given the identities already; the packet asks to look at the same chain again.
            Some(Provider::X509) if ids.iter().any(|id| id.scheme == "x509") => Ok(Vec::new()),
            Some(Provider::X509) => Err(Refusal::NoCertificate),
            Some(Provider::Ensemble) if self.is_our_ensemble(data.unwrap_or_default()) => Ok(Vec::new()),
            Some(Provider::Ensemble) => return AuthOutcome::WrongEnsemble,
        };
        match added {
            Ok(added) if !fits(ids, &added) => AuthOutcome::Refused(Refusal::TooManyIdentities),
            Ok(added) => AuthOutcome::Accepted(added),
            Err(refusal) => AuthOutcome::Refused(refusal),
        }
    }

    fn digest_ids(&self, data: &[u8]) -> Vec<Id> {
        let digest = self.digest_algorithm.identity(&lossy(data));
        let is_super = self.super_digest.as_ref() == Some(&digest);
        let super_id = is_super.then(|| Id::new("super", ""));
        super_id.into_iter().chain([Id::new("digest", digest)]).collect()
    }

    fn is_our_ensemble(&self, name: &[u8]) -> bool {
        let Some(names) = &self.ensemble_names else { return true };
        name.is_empty() || names.iter().any(|ours| *ours == lossy(name))
    }

    /// Identities of a completed SASL exchange.
    pub fn sasl_ids(&self, authorization_id: &str) -> Vec<Id> {
        let is_super =
            !authorization_id.is_empty() && self.sasl_super_users.iter().any(|user| user == authorization_id);
        let super_id = is_super.then(|| Id::new("super", ""));
        [Id::new("sasl", authorization_id)].into_iter().chain(super_id).collect()
    }

    /// Identities of an accepted client certificate, named by its subject in the form of RFC 2253.
    pub fn x509_ids(&self, subject: &str) -> Vec<Id> {
        let is_super = self.x509_super_user.as_deref() == Some(subject);
        let super_id = is_super.then(|| Id::new("super", subject));
        super_id.into_iter().chain([Id::new("x509", subject)]).collect()
    }

    /// Whether requests of this connection go on at all (`AuthenticationHelper`). If not: reply
    /// `SESSION_CLOSED_REQUIRE_SASL_AUTH` whatever the enforced scheme is, and close. Auth and SASL packets are not asked.
    pub fn admits(&self, ids: &[Id]) -> bool {
        match &self.enforced_schemes {
            None => true,
            Some(schemes) => ids.iter().any(|id| schemes.iter().any(|scheme| *scheme == id.scheme)),
        }
    }

    /// Whether a failed SASL exchange ends the connection with `SESSION_CLOSED_REQUIRE_SASL_AUTH`.
    pub fn requires_sasl(&self) -> bool {
        self.enforced_schemes.as_ref().is_some_and(|schemes| schemes.iter().any(|scheme| scheme == "sasl"))
    }

    /// The user whoAmI shows for an identity; empty where no provider knows the scheme (`AuthUtil.getClientInfos`).
    pub fn user<'a>(&self, id: &'a Id) -> &'a str {
        match self.provider(&id.scheme) {
            None => "",
            Some(Provider::Digest) => digest::user(&id.id),
            Some(_) => &id.id,
        }
    }

    /// The users of a connection as the audit log shows them: joined by commas, `None` when there are none.
    pub fn users(&self, ids: &[Id]) -> Option<String> {
        let users: Vec<&str> = ids.iter().map(|id| self.user(id)).filter(|user| !user.trim().is_empty()).collect();
        (!users.is_empty()).then(|| users.join(","))
    }
}

/// What getACL shows to a connection that may read but not administrate: digests of passwords are hidden.
pub fn redact(list: &[Acl]) -> Vec<Acl> {
    let hide = |acl: &Acl| match (acl.id.scheme.as_str(), acl.id.id.split_once(':')) {
        ("digest", Some((user, _))) => Acl::new(acl.perms, "digest", &format!("{user}:x")),
        _ => acl.clone(),
    };
    list.iter().map(hide).collect()
}

/// Permissions that a list gives to everybody: the union over `world:anyone`.
pub fn world_permissions(list: &[Acl]) -> i32 {
    list.iter().filter(|acl| is_anyone(&acl.id.scheme, &acl.id.id)).fold(0, |perms, acl| perms | acl.perms)
}

fn is_anyone(scheme: &str, id: &str) -> bool {
    scheme == "world" && id == "anyone"
}

fn fits(ids: &[Id], added: &[Id]) -> bool {
    let new: Vec<&Id> = added.iter().filter(|id| !ids.contains(id)).collect();
    let bytes: usize = ids.iter().chain(new.iter().copied()).map(|id| id.scheme.len() + id.id.len()).sum();
    new.is_empty() || (ids.len() + new.len() <= IDENTITIES_MAX && bytes <= IDENTITY_BYTES_MAX)
}

/// `auth` entries of one request become the connection's proven identities.
struct Expansion<'a> {
    ids: Vec<&'a Id>,
    bytes_left: usize,
}

impl Expansion<'_> {
    fn expand(&mut self, perms: i32, fixed: &mut Vec<Acl>) -> Result<(), ErrorCode> {
        let bytes: usize = self.ids.iter().map(|id| 12 + id.scheme.len() + id.id.len()).sum();
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(ErrorCode::INVALID_ACL)?;
        if self.ids.is_empty() {
            return Err(ErrorCode::INVALID_ACL);
        }
        fixed.extend(self.ids.iter().map(|id| Acl { perms, id: (*id).clone() }));
        Ok(())
    }
}

/// The entries that differ from all before them. Java compares each with those it has kept, field by field, before it judges
/// any, and falls over the null it meets there.
fn without_duplicates<'s, 'a>(sent: &'s [AclEntry<'a>]) -> Result<Vec<&'s AclEntry<'a>>, ErrorCode> {
    if sent.len() == 1 {
        return Ok(vec![&sent[0]]);
    }
    let mut kept = Vec::with_capacity(sent.len());
    let (mut seen, mut compared) = (HashSet::with_capacity(sent.len()), HashSet::with_capacity(sent.len()));
    for entry in sent {
        let (perms, scheme, id) = (entry.perms, entry.scheme.as_deref(), entry.id.as_deref());
        let stumbles = match (scheme, id) {
            (None, _) => compared.contains(&(perms, None)),
            (scheme, None) => compared.contains(&(perms, scheme)),
            _ => false,
        };
        if stumbles {
            return Err(ErrorCode::MARSHALLING_ERROR);
        }
        compared.extend([(perms, None), (perms, scheme)]);
        if seen.insert((perms, scheme, id)) {
            kept.push(entry);
        }
    }
    Ok(kept)
}
