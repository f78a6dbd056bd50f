//! What settings are taken, which are refused, and what is said about them.

use crate::config::{Layers, Mistake, Settings, print};

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn check(file: &str, variables: &[(&str, &str)], mistakes: &[&str]) {
    let layers =
        Layers::default().with_file(file).with_environment(environment(variables).into_iter());
    let found = Settings::resolve(&layers).err().unwrap_or_default();
    let found: Vec<_> = found.iter().map(Mistake::to_string).collect();
    assert_eq!(found, mistakes);
}

#[test]
fn defaults_need_nothing() {
    check("", &[], &[]);
}

#[test]
fn flags_are_over_the_environment_over_the_file_over_defaults() {
    let layers = Layers::default()
        .with_file("data = 'file'\nlisten = '127.0.0.1:1'\n[log]\nfilter = 'warn'")
        .with_environment(environment(&[("KEEPSAKE_LISTEN", "127.0.0.1:2")]).into_iter());
    let settings = Settings::resolve(&layers.clone().with_flag("listen", None)).unwrap();
    assert_eq!((settings.listen.port(), settings.log_filter.as_str()), (2, "warn"));
    let settings = Settings::resolve(&layers.with_flag("listen", Some("[::1]:3".into()))).unwrap();
    assert_eq!((settings.listen.port(), settings.data.to_str()), (3, Some("file")));
}

#[test]
fn every_mistake_is_told_at_once_with_the_nearest_name() {
    check(
        "liste = 'x'\n[storage]\nengine = 'rocks'\n[log]\nfilter = 'keepsake==='\n\
         [cache]\npartitions_bytes = 'many'",
        &[("KEEPSAKE_LISTEN", "nowhere"), ("KEEPSAKE_LOG_FORMT", "json"), ("HOME", "/")],
        &[
            "`liste` (file) is no setting; is `listen` meant?",
            "`KEEPSAKE_LOG_FORMT` (environment) is no setting; is `KEEPSAKE_LOG_FORMAT` meant?",
            "`listen` (environment) must be ADDRESS:PORT",
            "`storage.engine` (file) must be `fjall` or `memory`",
            "`cache.partitions_bytes` (file) must be a whole number",
            "`log.filter` (file) is no filter: error parsing level filter: expected one of \
             \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5",
        ],
    );
}

#[test]
fn a_public_address_needs_tls_or_an_explicit_word() {
    let refused = "`listen` (file) is public, and there is no TLS: set `tls.cert` and `tls.key`, \
                   or say `insecure_public` when something in front of it encrypts";
    check("listen = '0.0.0.0:7777'", &[], &[refused]);
    check("listen = '0.0.0.0:7777'\ninsecure_public = true", &[], &[]);
    check("listen = '0.0.0.0:7777'\ntls = { cert = 'c', key = 'k' }", &[], &[]);
    check(
        "tls = { cert = 'c' }",
        &[],
        &["`tls.key` (default) must be given: `tls.cert` and `tls.key` belong together"],
    );
}

#[test]
fn what_is_printed_is_a_file_with_the_same_settings() {
    let layers = Layers::default().with_file("listen = '127.0.0.1:9'\n[auth]\ndev_key = false");
    let printed = print(&layers);
    let again = Layers::default().with_file(&printed);
    assert_eq!(Settings::resolve(&again).unwrap(), Settings::resolve(&layers).unwrap());
}
