//! What settings are taken, which are refused, and what is said about them.

use expect_test::expect_file;

use crate::config::{
    EmbeddingModel, FastEmbedSettings, KEYS, Layers, Mistake, PoolingSetting, RerankerModel,
    Settings, print,
};

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

/// A file with every setting at its default, as a comment.
fn example() -> String {
    let mut text = "# The settings of `keepsake serve`, each with its default. The environment is \
        over this file,\n# a flag over both.\n"
        .to_owned();
    let mut table = "";
    for key in KEYS {
        let (section, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if section != table {
            text.push_str(&format!("\n[{section}]\n"));
            table = section;
        }
        let value = key.as_toml(key.default.unwrap_or_default());
        let (doc, env) = (key.doc, key.env);
        text.push_str(&format!("\n# {doc}\n# Environment: {env}.\n#{name} = {value}\n"));
    }
    text
}

#[test]
fn the_file_to_start_from_has_every_setting_and_says_what_is_so_anyway() {
    expect_file!["../../deploy/keepsake.toml"].assert_eq(&example());
    check(&example(), &[], &[]);
    // Every setting that has a default is set to it.
    let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    let has_default = |line: &&str| !is_setting(line) || !line.ends_with("= \"\"");
    let set: Vec<String> = example()
        .lines()
        .filter(has_default)
        .map(|line| if is_setting(&line) { line[1..].to_owned() } else { line.to_owned() })
        .collect();
    let told = |text: &str| {
        format!("{:?}", Settings::resolve(&Layers::default().with_file(text)).unwrap())
    };
    assert_eq!(told(&set.join("\n")), told(""));
    assert!(set.iter().any(|line| line.starts_with("listen = ")));
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
            "`storage.engine` (file) must be `fjall`, `sled` or `memory`",
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

#[test]
fn the_key_of_a_server_is_taken_and_never_shown() {
    let layers = Layers::default().with_file(
        "[documents]\nengine = 'qdrant'\n[documents.qdrant]\napi_key = 'hush'\non_disk = true",
    );
    let settings = Settings::resolve(&layers).unwrap();
    let key = settings.documents.qdrant.api_key.as_ref().unwrap();
    assert_eq!(key.reveal(), "hush");
    let shown = print(&layers);
    assert!(shown.contains("# api_key is set  # file") && shown.contains("on_disk = true"));
    for text in [shown, format!("{settings:?}")] {
        assert!(!text.contains("hush"), "{text}");
    }
}

#[test]
fn a_server_of_documents_must_be_one() {
    check(
        "[documents]\nengine = 'solr'\n[documents.qdrant]\nurl = 'qdrant:6334'\nprefix = 'a/b'\n\
         shards = 0\nsearch_ms = 0\napi_key = 'two words'",
        &[],
        &[
            "`documents.engine` (file) must be `embedded` or `qdrant`",
            "`documents.qdrant.search_ms` (file) must be 1 to 60000",
            "`documents.qdrant.url` (file) must be http://HOST:PORT or https://HOST:PORT",
            "`documents.qdrant.api_key` (file) must be ASCII without spaces",
            "`documents.qdrant.prefix` (file) must be 1 to 64 characters of A-Z a-z 0-9 - _",
            "`documents.qdrant.shards` (file) must be 1 to 1024",
        ],
    );
}

#[test]
fn a_model_on_a_server_needs_a_url_and_one_key_at_the_most() {
    let model = "[embedding]\nmodel = 'http:org/small'\n";
    check(model, &[], &["`embedding.http.url` (default) must be given: the model is on a server"]);
    let url = format!("{model}[embedding.http]\nurl = 'https://h.org/v1'\n");
    check(&url, &[("KEEPSAKE_EMBEDDING_HTTP_API_KEY", "k")], &[]);
    check(
        &format!("{url}api_key_file = 'f'\nsend_dimensions = true"),
        &[("KEEPSAKE_EMBEDDING_HTTP_API_KEY", "k")],
        &[
            "`embedding.http.api_key_file` (file) must not be given beside \
             `embedding.http.api_key`",
            "`embedding.http.dimensions` (default) must be given: the server is to be told",
        ],
    );
    let wrong = "must be http://HOST:PORT/PATH or https://HOST/PATH, without a key";
    for bad in ["h.org", "https://user:pass@h.org", "https://h.org?key=k", "ftp://h.org"] {
        let file = format!("{model}[embedding.http]\nurl = '{bad}'");
        check(&file, &[], &[&format!("`embedding.http.url` (file) {wrong}")]);
    }
    check(
        "[embedding]\nmodel = 'http:'\n[embedding.http]\nbatch_texts = 0\ntimeout_ms = 0",
        &[],
        &[
            "`embedding.model` (file) must be `minilm`, `static`, `fastembed:NAME`, `http:MODEL` \
             or `none`",
            "`embedding.http.batch_texts` (file) must be 1 to 2048",
            "`embedding.http.timeout_ms` (file) must be 1 to 600000",
        ],
    );
}

#[test]
fn a_model_of_fastembed_has_a_name_and_is_run_as_it_is_told() {
    let file = "[embedding]\nmodel = 'fastembed:/srv/mine'\nnext = 'fastembed:BGEM3'\n\
        [embedding.fastembed]\npooling = 'cls'\nquery_prefix = ''\nlanguages = 'en, de'\n\
        [onnx]\nlibrary = '/opt/libonnxruntime.so'\noffline = true";
    let settings = Settings::resolve(&Layers::default().with_file(file)).unwrap();
    let (embedding, onnx) = (settings.embedding, settings.onnx);
    assert_eq!(embedding.model, EmbeddingModel::FastEmbed("/srv/mine".to_owned()));
    assert_eq!(embedding.next, Some(EmbeddingModel::FastEmbed("BGEM3".to_owned())));
    let told = FastEmbedSettings {
        pooling: Some(PoolingSetting::Cls),
        query_prefix: Some(String::new()),
        languages: Some(vec!["en".to_owned(), "de".to_owned()]),
        ..FastEmbedSettings::default()
    };
    assert_eq!(embedding.fastembed, told);
    assert!(onnx.offline && onnx.models.is_none() && onnx.library.is_some());
    check(
        "[embedding]\nmodel = 'fastembed:'\n[embedding.fastembed]\npooling = 'max'\n\
         max_tokens = 1\nlanguages = 'English'\n[onnx]\nlibrary = ''",
        &[],
        &[
            "`embedding.model` (file) must be `minilm`, `static`, `fastembed:NAME`, `http:MODEL` \
             or `none`",
            "`embedding.fastembed.pooling` (file) must be `mean` or `cls`",
            "`embedding.fastembed.max_tokens` (file) must be 0, or 2 to 8192",
            "`embedding.fastembed.languages` (file) must be codes of two letters with commas \
             between (`en,de`), or `*`",
            "`onnx.library` (file) must not be empty",
        ],
    );
}

#[test]
fn a_reranker_is_one_of_fastembed_or_none() {
    let told =
        |file: &str| Settings::resolve(&Layers::default().with_file(file)).unwrap().retrieval;
    assert_eq!(told("").reranker, RerankerModel::None);
    let retrieval = told("[retrieval]\nreranker = 'fastembed:/srv/mine'");
    assert_eq!(retrieval.reranker, RerankerModel::FastEmbed("/srv/mine".to_owned()));
    assert_eq!(retrieval.reranker_candidates, 24);
    check(
        "[retrieval]\nreranker = 'fastembed:'\nreranker_candidates = 1",
        &[],
        &[
            "`retrieval.reranker` (file) must be `fastembed:NAME` or `none`",
            "`retrieval.reranker_candidates` (file) must be 2 to 200",
        ],
    );
}

#[test]
fn the_key_of_a_server_that_embeds_is_never_shown() {
    let layers = Layers::default().with_file(
        "[embedding]\nmodel = 'http:small'\n[embedding.http]\nurl = 'http://h.org'\n\
         api_key = 'hush'",
    );
    let settings = Settings::resolve(&layers).unwrap();
    assert_eq!(settings.embedding.http.api_key.as_ref().unwrap().reveal(), "hush");
    for text in [print(&layers), format!("{settings:?}")] {
        assert!(!text.contains("hush") && text.contains("small"), "{text}");
    }
}
