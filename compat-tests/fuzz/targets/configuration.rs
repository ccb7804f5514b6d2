//! zoo.cfg, the dynamic configuration file, and the words of a command line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxkeeper::config::{Config, Ensemble, Properties, SystemProperties};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, text)) = bytes.split_first() else { return };
    match which % 3 {
        0 => {
            // Names of other files would lead out of the fuzzer.
            let reads_files = [&b"dynamicConfigFile"[..], b"dataDir"];
            if reads_files.iter().any(|key| text.windows(key.len()).any(|window| window == *key)) {
                return;
            }
            let mut text = text.to_vec();
            text.extend_from_slice(b"\ndataDir=/nonexistent\n");
            match Config::parse(&text, Path::new("zoo.cfg"), &SystemProperties::default()) {
                Ok(config) => config.log_notes(),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        1 => {
            let Ok(properties) = Properties::parse(text) else { return };
            let lines = properties.entries.iter().filter(|line| Ensemble::owns(&line.key) || line.key == "version");
            if let Ok(ensemble) = Ensemble::parse(lines) {
                let shown: Vec<String> = ensemble.members.values().map(ToString::to_string).collect();
                for (member, text) in ensemble.members.values().zip(shown) {
                    // Its addresses are a set, which is shown in order.
                    let again = oxkeeper::config::Member::parse(member.id, &text).expect("what was shown can be read");
                    assert_eq!(again.to_string(), text);
                    assert_eq!((again.addresses.len(), again.role, &again.client), (member.addresses.len(), member.role, &member.client));
                }
            }
        }
        _ => {
            let text = String::from_utf8_lossy(text);
            let words = text.lines().map(str::to_owned);
            let (system, rest) = SystemProperties::collect(words, Some(&text), None);
            let _ = Config::from_arguments(&rest.into_iter().filter(|word| word.parse::<u16>().is_ok()).collect::<Vec<_>>(), &system);
        }
    }
});
