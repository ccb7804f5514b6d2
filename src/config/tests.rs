//! Tests of the room as a whole: what an operator writes, and what comes of it.
//! The answers of the original are in `java_answers.rs`; the syntax is tested beside `properties.rs`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn try_load(text: &str, system: &[(&str, &str)], my_id: Option<&str>) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    if let Some(my_id) = my_id {
        std::fs::write(folder.path().join("myid"), my_id).unwrap();
    }
    let file = folder.path().join("zoo.cfg");
    std::fs::write(&file, text.replace("$D", folder.path().to_str().unwrap())).unwrap();
    Config::load(&file, &SystemProperties::of(system.iter().copied()))
}

fn load(lines: &str) -> Config {
    try_load(&format!("dataDir=$D\n{lines}"), &[], None).unwrap()
}

fn with_system(lines: &str, system: &[(&str, &str)]) -> Config {
    try_load(&format!("dataDir=$D\n{lines}"), system, None).unwrap()
}

fn refusal(lines: &str) -> ConfigError {
    try_load(&format!("dataDir=$D\n{lines}"), &[], None).unwrap_err()
}

/// The remarks about a key, as loudness and text.
fn notes<'a>(config: &'a Config, key: &str) -> Vec<(Loudness, &'a str)> {
    let about = config.more.notes.iter().filter(|note| note.key.as_deref() == Some(key));
    about.map(|note| (note.loudness, note.text.as_str())).collect()
}

#[track_caller]
fn warns(config: &Config, key: &str, words: &str) {
    let notes = notes(config, key);
    assert!(notes.iter().any(|(loudness, text)| *loudness == Loudness::Warn && text.contains(words)), "{notes:?}");
}

#[test]
fn a_refusal_says_what_where_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zoo.cfg");
    std::fs::write(&file, "# a comment\ndataDir=data\n\ntickTime=2s\n").unwrap();
    let error = Config::load(&file, &SystemProperties::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("{}, line 4: tickTime: \"2s\" is not a whole number", file.display()));
    assert_eq!((error.line, error.key.as_deref(), error.exit_code()), (Some(4), Some("tickTime"), 2));

    let error = Config::load(Path::new("no/such/zoo.cfg"), &SystemProperties::default()).unwrap_err();
    assert!(error.to_string().starts_with("no/such/zoo.cfg: cannot be read: "), "{error}");
    assert_eq!(error.exit_code(), 2);
    let error = Config::load(Path::new("/dev/zero"), &SystemProperties::default()).unwrap_err();
    assert_eq!(error.to_string(), "/dev/zero: is longer than 16777216 bytes");
}

#[test]
fn a_contradiction_names_the_line_of_the_key_to_change() {
    let cases = [
        ("clientPortAddress=127.0.0.1", "clientPortAddress", "clientPort is not"),
        ("secureClientPortAddress=127.0.0.1", "secureClientPortAddress", "secureClientPort is not"),
        ("minSessionTimeout=90000", "minSessionTimeout", "90000, is above the longest, 60000"),
        ("maxSessionTimeout=10", "maxSessionTimeout", "6000, is above the longest, 10"),
        ("tickTime=2000000000", "tickTime", "overflow"),
        ("tickTime=0", "tickTime", "at least 1"),
        ("electionAlg=1", "electionAlg", "only 3"),
        ("enforce.auth.enabled=true", "enforce.auth.enabled", "enforce.auth.schemes"),
        ("quorum.auth.serverRequireSasl=true", "quorum.auth.serverRequireSasl", "quorum.auth.enableSasl=true"),
        ("sessionRequireClientSASLAuth=true", "sessionRequireClientSASLAuth", "there are digest, ip"),
        ("metricsProvider.className=foo.Bar", "metricsProvider.className", "PrometheusMetricsProvider"),
        ("clientPort=65536", "clientPort", "between 0 and 65535"),
        ("standaloneEnabled=yes", "standaloneEnabled", "neither true nor false"),
        ("peerType=leader", "peerType", "participant, observer"),
        ("server.1=somewhere", "server.1", "of the form"),
        ("x=\\u00zz", "", "four hexadecimal digits"),
    ];
    for (line, key, words) in cases {
        let error = refusal(line);
        assert!(error.why.contains(words), "{line}: {error}");
        assert_eq!(
            (error.line, error.key.as_deref().unwrap_or_default(), error.exit_code()),
            (Some(2), key, 2),
            "{line}"
        );
    }
    let error = refusal("enforce.auth.enabled=true\nenforce.auth.schemes=digest,foo");
    assert_eq!((error.line, error.key.as_deref()), (Some(3), Some("enforce.auth.schemes")));
}

#[test]
fn a_wrong_property_ends_with_the_exit_code_of_the_original() {
    for line in [
        "intBufferStartingSizeBytes=16",
        "connection_throttle_drop_increase=abc",
        "serverCnxnFactory=foo.Bar",
        "watchManagerName=WatchManager",
    ] {
        assert_eq!(refusal(line).exit_code(), 1, "{line}");
        let (key, value) = line.split_once('=').unwrap();
        let error = try_load("dataDir=$D", &[(&format!("zookeeper.{key}"), value)], None).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert_eq!(error.key, Some(format!("-Dzookeeper.{key}, from the command line")));
    }
    // The ones that zoo.cfg reads itself.
    assert_eq!(refusal("multiAddress.enabled=maybe").exit_code(), 2);
    assert!(!with_system("", &[("zookeeper.multiAddress.enabled", "maybe")]).multi_address_enabled);
    assert!(with_system("", &[("zookeeper.multiAddress.enabled", "TRUE")]).multi_address_enabled);
}

#[test]
fn a_number_that_the_original_does_not_insist_on_falls_back_aloud() {
    for key in ["snapCount", "preAllocSize", "commitLogCount", "snapshotSizeFactor", "metricsProvider.httpPort"] {
        let config = load(&format!("{key}=abc"));
        warns(&config, key, "\"abc\" is not a");
        warns(&config, key, "the default is used");
        let plain = load("");
        let same = config.effective().zip(plain.effective()).filter(|(said, unsaid)| said.text != unsaid.text);
        assert_eq!(same.map(|(said, _)| said.key.name).collect::<Vec<_>>(), ["dataDir", "dataLogDir"]);
    }
    // zoo.cfg is stronger even when it is wrong.
    let config = with_system("snapCount=abc", &[("zookeeper.snapCount", "5")]);
    assert_eq!(config.snap_count, 100_000);
    let config = load("snapshot.compression.method=zip");
    assert_eq!(config.snapshot_compression, SnapshotCompression::None);
    warns(&config, "snapshot.compression.method", "gz, snappy");
    assert_eq!(load("snapshot.compression.method=GZ").snapshot_compression, SnapshotCompression::Gz);
}

#[test]
fn numbers_of_properties_are_decoded_as_java_does() {
    for (text, number) in [("0x10", 16), ("#10", 16), ("010", 8), ("-0X1f", -31), ("+7", 7), ("0", 0)] {
        assert_eq!(load(&format!("maxCnxns={text}")).max_cnxns, number, "{text}");
    }
    for text in
        ["0x", "08", "1.5", "", "+-1", "2147483648", "0x80000000", "1 2", "9999999999999999999999999999999999999999"]
    {
        warns(&load(&format!("maxCnxns={text}")), "maxCnxns", "the default is used");
    }
    assert_eq!(load("maxCnxns=-2147483648").max_cnxns, i32::MIN);
    assert_eq!(refusal("maxClientCnxns=0x10").exit_code(), 2);
    assert_eq!(load("connection_throttle_drop_increase=0.5f").connection_throttle_drop_increase, 0.5);
}

#[test]
fn small_numbers_are_raised_aloud() {
    let config = load("snapCount=1\nautopurge.snapRetainCount=1\ncommitLogCount=10\njute.maxbuffer.extrasize=5");
    assert_eq!((config.snap_count, config.autopurge_snap_retain_count), (2, 3));
    assert_eq!((config.commit_log_count, config.jute_extra_size), (500, 1024));
    for key in ["snapCount", "autopurge.snapRetainCount", "commitLogCount", "jute.maxbuffer.extrasize"] {
        warns(&config, key, "is too small");
    }
}

#[test]
fn each_switch_has_its_own_words() {
    assert!(load("extendedTypesEnabled=TRUE").extended_types_enabled);
    assert!(!load("digest.enabled=no").digest_enabled);
    assert!(load("skipACL=yes").skip_acl);
    assert!(!load("skipACL=true").skip_acl);
    assert!(load("forceSync=false").force_sync);
    assert!(!load("forceSync=no").force_sync);
    assert!(!load("admin.enableServer=false").admin_enable_server);
    assert!(load("admin.enableServer=no").admin_enable_server);
    assert!(!with_system("", &[("follower.nodelay", "TRUE")]).follower_nodelay);
    warns(&load("skipACL=true"), "skipACL", "\"true\" means no here");
    warns(&load("forceSync=false"), "forceSync", "\"false\" means yes here");
    warns(&load("digest.enabled=no"), "digest.enabled", "\"no\" means false here");
    assert_eq!(notes(&load("skipACL=yes\nforceSync=no\ndigest.enabled=False"), "digest.enabled"), []);
}

#[test]
fn zoo_cfg_is_stronger_than_system_properties() {
    let system = [("zookeeper.snapCount", "7"), ("zookeeper.maxCnxns", "9")];
    let config = with_system("snapCount=5", &system);
    assert_eq!((config.snap_count, config.max_cnxns), (5, 9));
    let origins: Vec<_> =
        config.effective().filter_map(|s| s.origin.map(|origin| (s.key.name, s.text, origin))).skip(1).collect();
    assert_eq!(
        origins,
        [
            ("maxCnxns", "9".to_owned(), Origin::System("the command line")),
            ("snapCount", "5".to_owned(), Origin::Line(2)),
        ]
    );
    // Of two properties for one key, the one with the prefix.
    let system = [("fsync.warningthresholdms", "3"), ("zookeeper.fsync.warningthresholdms", "4")];
    assert_eq!(with_system("", &system).fsync_warning_threshold_ms, 4);
    assert_eq!(with_system("", &system[..1]).fsync_warning_threshold_ms, 3);
    assert_eq!(with_system("fsync.warningthresholdms=5", &system).fsync_warning_threshold_ms, 5);
}

#[test]
fn what_only_a_system_property_can_say_has_no_effect_in_zoo_cfg() {
    let config = load("jute.maxbuffer=4194304\nreadonlymode.enabled=true\nznode.container.checkIntervalMs=1");
    assert_eq!(
        (config.jute_max_buffer, config.read_only_mode, config.container_check_interval_ms),
        (1_048_575, false, 60_000)
    );
    warns(&config, "jute.maxbuffer", "give it to the process as -Djute.maxbuffer=4194304");
    warns(&config, "readonlymode.enabled", "-Dreadonlymode.enabled=true");
    let config = with_system("", &[("jute.maxbuffer", "4194304"), ("znode.container.maxPerMinute", "5")]);
    assert_eq!(
        (config.jute_max_buffer, config.jute_extra_size, config.container_max_per_minute),
        (4_194_304, 4_194_304, 5)
    );
    assert_eq!(config.more.notes, []);
    let config = with_system("", &[("zookeeper.jute.maxbuffer", "5")]);
    warns(&config, "-Dzookeeper.jute.maxbuffer", "the property is called jute.maxbuffer");
}

#[test]
fn mistakes_in_names_are_pointed_out() {
    let config = load("zookeeper.snapCount=5\nticktime=7\nfoo=bar\nsnapCount=3\nsnapCount=4");
    assert_eq!((config.snap_count, config.tick_time_ms), (4, 3000));
    warns(&config, "zookeeper.snapCount", "did you mean snapCount?");
    warns(&config, "ticktime", "did you mean tickTime?");
    warns(&config, "foo", "not known");
    warns(&config, "snapCount", "given again on line 6, which counts");
    assert_eq!(config.more.unknown.get("foo").map(String::as_str), Some("bar"));

    let system = [
        ("zookeeper.tickTime", "5"),
        ("snapCount", "5"),
        ("zookeeper.bar", "1"),
        ("zookeeper.log.dir", "/x"),
        ("my.own", "1"),
    ];
    let config = with_system("", &system);
    warns(&config, "-Dzookeeper.tickTime", "zoo.cfg only");
    warns(&config, "-DsnapCount", "called zookeeper.snapCount");
    warns(&config, "-Dzookeeper.bar", "not known");
    assert_eq!(config.more.notes.len(), 3);
}

#[test]
fn keys_of_later_parts_are_accepted_aloud() {
    let config = load(
        "secureClientPort=2281\nadmin.forceHttps=true\nIPAuthenticationProvider.usexforwardedfor=true\ninitLimit=10\nobserverMaster.sizeLimit=6000\nnio.numWorkerThreads=4\nsasl.client=false",
    );
    assert_eq!(
        notes(&config, "secureClientPort"),
        [(Loudness::Warn, "accepted, no effect yet: needs the TLS and SASL part")]
    );
    assert_eq!(
        notes(&config, "IPAuthenticationProvider.usexforwardedfor"),
        [(Loudness::Warn, "accepted, no effect yet: needs the operations part")]
    );
    assert!(notes(&config, "admin.forceHttps")[0].1.contains("TLS"));
    assert_eq!(notes(&load("admin.serverPort=8081"), "admin.serverPort"), [], "it has an effect by now");
    assert_eq!(notes(&config, "observerMaster.sizeLimit")[0].1, "accepted, no effect yet: needs the ensemble part");
    assert_eq!(notes(&config, "initLimit"), [], "it has an effect by now");
    assert_eq!(notes(&config, "nio.numWorkerThreads")[0].0, Loudness::Info);
    assert!(notes(&config, "sasl.client")[0].1.contains("clients"));
    assert_eq!(notes(&load("secureClientPort=2281\nsslQuorum=false"), "sslQuorum"), [], "a default needs no remark");
    assert_eq!(notes(&load("tickTime=2000\nmaxClientCnxns=0\nforceSync=no"), "tickTime"), []);
}

#[test]
fn authentication_schemes_come_from_the_classes_of_the_original() {
    const PREFIX: &str = "org.apache.zookeeper.server.auth";
    let config = load(&format!(
        "authProvider.1={PREFIX}.SASLAuthenticationProvider\nauthProvider.x=foo.Bar\nsuperUser=a\nsuperUser.b=c\n\
        sessionRequireClientSASLAuth=true"
    ));
    assert_eq!(Vec::from_iter(config.auth_schemes()), ["digest", "ip", "sasl"]);
    assert_eq!(config.enforced_auth_schemes(), ["sasl"]);
    assert_eq!(Vec::from_iter(config.more.super_users.values()), ["a", "c"]);
    warns(&config, "authProvider.x", "not built in");
    warns(&config, "authProvider.1", "no effect yet");
    let system = [("zookeeper.authProvider.sasl", "org.apache.zookeeper.server.auth.SASLAuthenticationProvider")];
    assert!(with_system("", &system).auth_schemes().contains("sasl"));

    let config = load("DigestAuthenticationProvider.enabled=false");
    assert_eq!(Vec::from_iter(config.auth_schemes()), ["ip"]);
    assert!(config.enforced_auth_schemes().is_empty());
    let config = load("enforce.auth.enabled=true\nenforce.auth.schemes=digest , ip");
    assert_eq!(config.enforced_auth_schemes(), ["digest", "ip"]);
    assert!(load("enforce.auth.schemes=digest").enforced_auth_schemes().is_empty());
    assert_eq!(load("secureClientPort=0").more.auth_providers.len(), 1, "x509 comes with the TLS listener");
}

#[test]
fn secrets_do_not_show() {
    let text = "DigestAuthenticationProvider.superDigest=super:hash\nssl.keyStore.password=hush";
    let config = load(text);
    assert_eq!(config.super_digest.as_ref().map(Secret::expose), Some("super:hash"));
    assert!(config.effective().all(|setting| !setting.text.contains("hush") && !setting.text.contains("super:hash")));
    assert!(
        config.more.text.as_ref().is_some_and(|text| text.expose().ends_with("=hush")),
        "the admin server shows it"
    );
    let shown = format!("{config:?}");
    assert!(!shown.contains("hush") && !shown.contains("super:hash"));
}

#[test]
fn four_letter_words_follow_the_whitelist() {
    let allowed = |lines: &str, word: &str| load(lines).four_letter_word_allowed(word);
    assert!(allowed("", "srvr") && !allowed("", "ruok") && !allowed("", "isro"));
    assert!(allowed("4lw.commands.whitelist=ruok, mntr", "mntr") && allowed("4lw.commands.whitelist=ruok", "srvr"));
    assert!(allowed("4lw.commands.whitelist=*", "wchp"));
    assert!(with_system("", &[("readonlymode.enabled", "true")]).four_letter_word_allowed("isro"));
}

#[test]
fn addresses_are_numbers_after_loading() {
    let address = |text: &str| load(&format!("clientPort=1\nclientPortAddress={text}")).client_port_address;
    assert_eq!(address("127.0.0.1"), "127.0.0.1".parse::<IpAddr>().ok());
    assert_eq!(address("[::1]"), "::1".parse().ok());
    assert_eq!(address(""), "127.0.0.1".parse().ok());
    assert_eq!(load("clientPort=1").client_port_address, None);
    let error = refusal("clientPort=1\nclientPortAddress=1:2");
    assert_eq!((error.line, error.key.as_deref()), (Some(3), Some("clientPortAddress")));
}

const THREE: &str = "initLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nserver.300=c:1:2;c:2181\n";

#[test]
fn an_ensemble_is_understood_in_full() {
    let text = format!("dataDir=$D\nclientPort=2181\n{THREE}");
    let config = try_load(&text, &[], Some("1\n")).unwrap();
    assert!(config.is_quorum());
    assert_eq!((config.more.my_id, config.more.ensemble.members.len()), (Some(1), 3));
    let error = try_load(&text, &[], None).unwrap_err();
    assert!(error.file.unwrap().ends_with("myid"));
    let error = try_load(&text.replace("syncLimit=2", ""), &[], Some("1")).unwrap_err();
    assert_eq!(error.key.as_deref(), Some("syncLimit"));
    let error = try_load(&text, &[], Some("one")).unwrap_err();
    assert!(error.file.unwrap().ends_with("myid"));
    let extended = format!("dataDir=$D\nextendedTypesEnabled=true\n{}", THREE.replace(";c:2181", ""));
    let error = try_load(&extended, &[], Some("300")).unwrap_err();
    assert_eq!((error.key.as_deref(), error.line), (Some("extendedTypesEnabled"), Some(2)));
    assert!(try_load(&extended, &[], Some("2")).is_ok());
}

#[test]
fn remarks_about_the_number_of_members() {
    let said = |servers: usize| {
        let lines: String = (1..=servers).map(|id| format!("server.{id}=h{id}:1:2\n")).collect();
        let config = try_load(&format!("dataDir=$D\ninitLimit=1\nsyncLimit=1\n{lines}"), &[], Some("1")).unwrap();
        config.more.notes.iter().filter(|note| note.key.is_none()).map(|note| note.loudness).collect::<Vec<_>>()
    };
    assert_eq!(said(0), []);
    assert_eq!(said(1), [Loudness::Error], "one line is ignored, loudly");
    assert_eq!(said(2), [Loudness::Warn], "no failure tolerated");
    assert_eq!(said(3), []);
    assert_eq!(said(4), [Loudness::Warn], "an even number");
}

#[test]
fn the_version_of_a_dynamic_file_is_in_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = path("zoo.cfg");
    let load = |name: &str| {
        std::fs::write(path(name), "server.1=h:1:2;2181\nserver.2=g:1:2;2181\n").unwrap();
        let text = format!(
            "dataDir={}\ninitLimit=1\nsyncLimit=1\ndynamicConfigFile={}",
            folder.path().display(),
            path(name).display()
        );
        std::fs::write(&file, text).unwrap();
        std::fs::write(path("myid"), "2").unwrap();
        Config::load(&file, &SystemProperties::default())
    };
    assert_eq!(load("zoo.cfg.dynamic.100000000").unwrap().more.ensemble.version, 0x1_0000_0000);
    assert_eq!(load("zoo.cfg.dynamic").unwrap().more.ensemble.version, 0);
    assert_eq!(load("plain").unwrap().more.ensemble.version, 0);
}

#[test]
fn the_short_form_of_the_command_line() {
    let words = |text: &str| text.split(' ').map(str::to_owned).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    let system = SystemProperties::of([("zookeeper.maxCnxns", "9")]);
    let parse = |text: &str| Config::from_arguments(&words(text), &system);
    let config = parse("2181 data 2000 5").unwrap();
    assert_eq!(
        (config.client_port, config.data_dir.clone(), config.tick_time_ms),
        (Some(2181), PathBuf::from("data"), 2000)
    );
    assert_eq!((config.max_client_cnxns, config.max_session_timeout_ms, config.max_cnxns), (5, 40_000, 9));
    assert_eq!(config.data_log_dir, config.data_dir);
    assert_eq!(parse("0 data").unwrap().tick_time_ms, 3000);
    for wrong in ["", "2181 data 2000 5 6", "x data", "2181 data x", "70000 data", "no-such-file"] {
        assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
    }
}

#[test]
fn system_properties_are_stronger_than_the_embedded_configuration() {
    let config = Config::embedded(&SystemProperties::of([("zookeeper.4lw.commands.whitelist", "*")])).unwrap();
    assert!(config.four_letter_word_allowed("wchp"));
    assert_eq!(config.client_port, Some(2181));
}

#[test]
fn words_of_the_command_line_and_the_environment() {
    let arguments = ["server", "-Da=1", "-Xmx1g", "zoo.cfg", "-D", "-Dempty", "--help", "-Dk=v=w"].map(str::to_owned);
    let server = r#"-Da=0 -Db=2 -XX:+UseG1GC  -Dquoted="x y"  '-Dsingle=a "b"' -javaagent:x.jar"#;
    let jvm = r"-Db=3 -Drule=s/\./-/ -Dblank=a\ b -Djute.maxbuffer=10";
    let (system, rest) = SystemProperties::collect(arguments, Some(server), Some(jvm));
    assert_eq!(rest, ["server", "zoo.cfg", "-D", "--help"]);
    let all: Vec<_> = system.iter().map(|(key, property)| (key, property.value.as_str())).collect();
    let expected = [
        ("a", "1"),
        ("b", "3"),
        ("blank", "a b"),
        ("empty", ""),
        ("jute.maxbuffer", "10"),
        ("k", "v=w"),
        ("quoted", "x y"),
        ("rule", r"s/\./-/"),
        ("single", "a \"b\""),
    ];
    assert_eq!(all, expected);
    assert_eq!(system.get("b").map(|property| property.origin), Some("JVMFLAGS"));
    assert_eq!(system.notes.len(), 3);
    assert!(system.notes.iter().all(|note| note.loudness == Loudness::Debug));
}

#[test]
fn names_in_the_table_are_unique_and_described() {
    let mut names: Vec<_> = ENTRIES.iter().map(|entry| entry.key.name).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None);
    for key in ENTRIES.iter().map(|entry| &entry.key) {
        assert!(key.doc.ends_with('.') && !key.topic.is_empty(), "{}", key.name);
        assert!(
            FAMILIES.iter().all(|family| !key.name.starts_with(family.prefix)
                || family.prefix == "metricsProvider."
                || family.prefix == "server."),
            "{} would never reach its row",
            key.name
        );
    }
}

#[test]
fn every_key_of_the_original_has_a_row() {
    // The names that the original's documentation and classes know, one a line.
    let known = include_str!("testdata/key-names.txt").lines().filter(|line| !line.starts_with('#'));
    let missing: Vec<_> = known.filter(|name| Entry::find(name).is_none()).collect();
    assert_eq!(missing, [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_a_configuration_or_a_refusal(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zoo.cfg");
        std::fs::write(&file, &bytes).unwrap();
        let _ = Config::load(&file, &SystemProperties::default());
    }

    #[test]
    fn any_value_of_any_key_is_accepted_or_refused_by_its_name(
        row in 0..ENTRIES.len(),
        value in prop_oneof!["[-+]?[0-9]{1,25}", "(true|false|yes|no|0x[0-9a-f]{1,20})", "[ -~]{0,20}", "\\PC{0,8}"],
    ) {
        let name = ENTRIES[row].key.name;
        prop_assume!(ENTRIES[row].key.reading != Reading::Address);
        if let Err(error) = try_load(&format!("{name}={}\ndataDir=$D", value.replace('\\', "")), &[], None) {
            let names_a_file = name == "dynamicConfigFile";
            prop_assert!(error.to_string().contains(name) || names_a_file, "{}", error);
        }
    }

    #[test]
    fn any_server_line_is_read_or_refused(value in "[a-z0-9:;|\\[\\]. ]{0,40}") {
        if let Ok(member) = Member::parse(1, &value) {
            let text = member.to_string();
            let again = Member::parse(1, &text).map(|member| member.to_string());
            prop_assert_eq!(again.as_deref(), Ok(text.as_str()), "the canonical text of {}", value);
        }
    }

    #[test]
    fn any_flags_are_taken_apart(text in "[-D=a \"'\\\\]{0,40}") {
        let _ = SystemProperties::collect([], Some(&text), Some(&text));
    }
}
