//! Names of the SASL scheme. Knows only their syntax.

/// Whether Java's `KerberosName` takes a name: without `@` anything goes; with it, `service[/host]@REALM` and no more
/// separators.
pub(super) fn is_kerberos_name(name: &str) -> bool {
    let Some((principal, realm)) = name.split_once('@') else { return true };
    principal.matches('/').count() <= 1 && !realm.contains(['/', '@'])
}
