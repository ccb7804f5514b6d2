//! The ensemble and the session: config, reconfig, sync, version, whoami, addauth, close.

use super::Context;
use crate::admin::version::FULL;
use crate::cli::datum::Datum;
use crate::cli::error::Failure;
use crate::cli::options::{Options, Parsed, flag, valued};
use crate::config::{Ensemble, Member, Properties};

pub(super) const CONFIG: Options =
    Options::any(&[flag("s", "stats"), flag("w", "watch"), flag("c", "client connection string")]);
pub(super) const RECONFIG: Options = Options::any(&[
    flag("s", "stats"),
    valued("v", "required current config version"),
    valued("file", "path of config file to parse for membership"),
    valued("members", "comma-separated list of config strings for non-incremental reconfig"),
    valued("add", "comma-separated list of config strings for new servers"),
    valued("remove", "comma-separated list of server IDs to remove"),
]);
pub(super) const RECONFIG_USAGE: &str = "[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | \
     [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]";

pub(super) fn config(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let (data, stat) = cx.session.configuration(args.has("w"))?;
    let text = data.map_or("null".into(), |data| String::from_utf8_lossy(&data).into_owned());
    let text = if args.has("c") { client_text(&text) } else { text };
    cx.say(&Datum::Configuration { title: "", text: &text, stat: args.has("s").then_some(&stat) })
}

/// `ConfigUtils.getClientConfigStr`: the version and where clients connect, by ascending id.
fn client_text(text: &str) -> String {
    let lines = Properties::parse(text.as_bytes()).unwrap_or_default();
    let version = lines.get("version").map_or("", |line| line.value.as_str());
    let mut members: Vec<_> = lines
        .entries
        .iter()
        .filter_map(|line| {
            let id = line.key.strip_prefix("server.")?.parse().ok()?;
            Member::parse(id, &line.value).ok()
        })
        .collect();
    members.sort_by_key(|member| member.id);
    let clients = members.iter().map(|member| {
        let client = member.client.as_ref();
        client.map(|client| format!("{}:{}", client.host.as_str(), client.port)).unwrap_or_default()
    });
    format!("{version} {}", clients.collect::<Vec<_>>().join(","))
}

pub(super) fn reconfig(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let said = |text: &str| Err(Failure::Said(text.to_owned()));
    let lower = |name| args.value(name).map(str::to_lowercase);
    let (joining, leaving, mut members) = (lower("add"), lower("remove"), lower("members"));
    let file = args.value("file");
    let (whole, parts) = (file.is_some() || members.is_some(), joining.is_some() || leaving.is_some());
    if !whole && !parts {
        return Err(Failure::Said(super::find("reconfig").map(super::Command::usage).unwrap_or_default()));
    }
    let version = match args.value("v").map(|text| i64::from_str_radix(text, 16)) {
        None => -1,
        Some(Ok(version)) => version,
        Some(Err(_)) => return said("-v must be followed by a long (configuration version)"),
    };
    if whole && parts {
        return said(
            "Can't use -file or -members together with -add or -remove (mixing incremental and non-incremental modes \
             is not allowed)",
        );
    }
    if file.is_some() && members.is_some() {
        return said("Can't use -file and -members together (conflicting non-incremental modes)");
    }
    if let Some(file) = file {
        members = Some(members_of(file).map_err(|why| Failure::Said(format!("Error processing {file}: {why}")))?);
    }
    let (text, stat) = cx.session.reconfigure(joining.as_deref(), leaving.as_deref(), members.as_deref(), version)?;
    cx.say(&Datum::Configuration {
        title: "Committed new configuration:\n",
        text: &String::from_utf8_lossy(&text),
        stat: args.has("s").then_some(&stat),
    })
}

/// The members of a dynamic configuration file, as canonical text.
fn members_of(file: &str) -> Result<String, String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let lines = Properties::parse(&bytes).map_err(|error| error.to_string())?;
    if let Some(line) = lines.entries.iter().find(|line| !Ensemble::owns(&line.key)) {
        return Err(format!("Unrecognised parameter: {}", line.key));
    }
    Ensemble::parse(&lines.entries).map(|ensemble| ensemble.to_string()).map_err(|error| error.to_string())
}

pub(super) fn sync(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let code = cx.session.sync(args.path())?;
    cx.say(&Datum::Synced { code: code.0 })
}

pub(super) fn version(cx: &Context, _: &Parsed) -> Result<(), Failure> {
    cx.say(&Datum::Version { text: FULL })
}

pub(super) fn who_am_i(cx: &Context, _: &Parsed) -> Result<(), Failure> {
    let identities = cx.session.identities()?;
    cx.say(&Datum::Identities { identities: &identities })
}

pub(super) fn add_auth(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let scheme = args.word(1).unwrap_or_default();
    cx.session.add_identity(scheme, args.word(2).map(|auth| auth.as_bytes().to_vec()))
}

pub(super) fn close(cx: &Context, _: &Parsed) -> Result<(), Failure> {
    cx.session.close();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_string_of_an_ensemble() {
        let text =
            "server.2=h2:1:2:participant;0.0.0.0:3\nserver.1=h1:1:2:observer;[::1]:4\nserver.3=h3:1:2\nversion=a1";
        assert_eq!(client_text(text), "a1 0:0:0:0:0:0:0:1:4,0.0.0.0:3,");
        assert_eq!(client_text(""), " ");
    }
}
