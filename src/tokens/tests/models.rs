//! Models by name.

use crate::tokens::{
    Exactness, Framing, ModelError, Models, TokenizerError,
    tests::{builtin, files::bytes_json},
};
use crate::types::{ModelPolicy, Policy};

#[track_caller]
fn check_model(name: &str, tokenizer: &str, framing: Framing, cacheable: u32) {
    let model = Models::new().resolve(&Policy::initial(), name).expect("a known model");
    assert_eq!(model.name, name);
    assert_eq!(model.tokenizer, builtin(tokenizer), "{name}");
    assert_eq!(model.framing, framing, "{name}");
    assert_eq!(model.cacheable_prefix_tokens_min, cacheable, "{name}");
}

#[test]
fn names_lead_to_their_family() {
    let (exact, assumed) = (Framing::OPENAI, Framing::OPENAI_ASSUMED);
    check_model("gpt-4o", "o200k_base", exact, 1_024);
    check_model("gpt-4o-mini-2024-07-18", "o200k_base", exact, 1_024);
    check_model("openai/gpt-4o:free", "o200k_base", exact, 1_024);
    check_model("ft:gpt-4o-2024-08-06:acme::x1", "o200k_base", exact, 1_024);
    check_model("chatgpt-4o-latest", "o200k_base", exact, 1_024);
    check_model("gpt-4", "cl100k_base", exact, 1_024);
    check_model("gpt-4-turbo", "cl100k_base", exact, 1_024);
    check_model("gpt-3.5-turbo-0125", "cl100k_base", exact, 1_024);
    check_model("ft:gpt-3.5-turbo:acme", "cl100k_base", exact, 1_024);
    check_model("gpt-4.1-mini", "o200k_base", assumed, 1_024);
    check_model("gpt-5", "o200k_base", assumed, 1_024);
    check_model("gpt-5.2-codex", "o200k_base", assumed, 1_024);
    check_model("o3-mini", "o200k_base", assumed, 1_024);
    check_model("gpt-oss-120b", "o200k_harmony", Framing::HARMONY, 1_024);
    check_model("cl100k_base", "cl100k_base", exact, 1_024);
    check_model("text-davinci-003", "p50k_base", Framing::ASSUMED, 1_024);
    check_model("gpt2", "r50k_base", Framing::ASSUMED, 1_024);
}

#[test]
fn claude_and_gemini_are_bounded_by_generation() {
    let assumed = Framing::ASSUMED;
    check_model("claude-3-5-sonnet-20241022", "claude_legacy", assumed, 1_536);
    check_model("anthropic/claude-3.5-haiku", "claude_legacy", assumed, 3_072);
    check_model("claude-sonnet-4-20250514", "claude_legacy", assumed, 1_536);
    check_model("claude-sonnet-4@20250514", "claude_legacy", assumed, 1_536);
    check_model("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude_legacy", assumed, 1_536);
    check_model("claude-haiku-4-5", "claude_legacy", assumed, 6_144);
    check_model("claude-opus-4-6", "claude_legacy", assumed, 6_144);
    check_model("claude-opus-4-7", "claude", assumed, 4_096);
    check_model("claude-sonnet-4-9", "claude", assumed, 8_192);
    check_model("claude-sonnet-9", "claude", assumed, 8_192);
    check_model("gemini-2.5-pro", "gemini", assumed, 5_325);
    check_model("google/gemini-2.5-flash-lite", "gemini", assumed, 2_663);
    check_model("models/gemini-3-pro-preview", "gemini", assumed, 5_325);
}

#[test]
fn the_table_agrees_with_the_reference_on_openais_names() {
    use tiktoken_rs::tokenizer::get_tokenizer;
    let names = "gpt-4o gpt-4o-2024-05-13 gpt-4 gpt-4-0314 gpt-4-32k gpt-3.5-turbo gpt-3.5 \
        gpt-35-turbo gpt-35-turbo-16k gpt-5 gpt-5-mini gpt-5.1-codex gpt-4.1 gpt-4.1-nano \
        gpt-4.5-preview o1 o1-mini o3 o3-mini o4-mini codex-mini-latest chatgpt-4o-latest \
        gpt-oss-20b text-davinci-003 text-davinci-002 text-davinci-001 davinci-002 babbage-002 \
        davinci code-davinci-002 text-davinci-edit-001 ft:davinci-002:org";
    for name in names.split_whitespace() {
        let expected = get_tokenizer(name).expect("the reference knows it");
        let expected = tiktoken_rs::bpe_for_tokenizer(expected);
        let model = Models::new().resolve(&Policy::initial(), name).expect("a known model");
        let text = "Donaudampfschifffahrt    12345 漢字\n\n  fn main() {}";
        assert_eq!(
            model.tokenizer.count(text) as usize,
            expected.expect("built in").encode_ordinary(text).len(),
            "{name}"
        );
    }
}

#[test]
fn roles_are_one_token_each_as_openais_framing_takes_them_to_be() {
    for name in ["o200k_base", "cl100k_base"] {
        for role in ["system", "developer", "user", "assistant", "tool"] {
            assert_eq!(builtin(name).count(role), 1, "{name}: {role}");
        }
    }
}

#[track_caller]
fn check_unknown(name: &str) {
    let error = Models::new().resolve(&Policy::initial(), name).expect_err("unknown");
    assert_eq!(error, ModelError::Unknown { model: name.to_owned() });
}

#[test]
fn a_model_that_nothing_covers_is_an_error() {
    for name in ["", "llama-3", "gpt-6", "gpt-4.7", "o11", "gpt-50", "claudette", "GPT-4o", "ft:"] {
        check_unknown(name);
    }
}

#[test]
fn a_fallback_counts_for_unknown_models_and_is_estimated() {
    let policy = Policy { tokenizer_fallback: "cl100k_base".into(), ..Policy::initial() };
    let model = Models::new().resolve(&policy, "llama-3").expect("falls back");
    assert_eq!(model.tokenizer, builtin("cl100k_base"));
    assert_eq!(model.exactness(), Exactness::Estimated);
    let broken = Policy { tokenizer_fallback: "bert".into(), ..Policy::initial() };
    let error = Models::new().resolve(&broken, "llama-3").expect_err("no such tokenizer");
    let expected =
        ModelError::UnknownTokenizer { model: "llama-3".into(), tokenizer: "bert".into() };
    assert_eq!(error, expected);
}

fn own(name: &str, tokenizer: &str, json: String) -> ModelPolicy {
    ModelPolicy { name: name.into(), tokenizer: tokenizer.into(), tokenizer_json: json }
}

#[test]
fn a_tenants_own_model_comes_before_the_built_in_one() {
    let models = vec![
        own("gpt-4o", "cl100k_base", String::new()),
        own("local", "", bytes_json("")),
        own("broken", "", "{}".into()),
        own("house-claude", "claude", String::new()),
    ];
    let policy = Policy { models, ..Policy::initial() };
    let registry = Models::new();
    let resolve = |name| registry.resolve(&policy, name);
    let renamed = resolve("gpt-4o").expect("the tenant's");
    assert_eq!(renamed.tokenizer, builtin("cl100k_base"));
    assert_eq!(renamed.exactness(), Exactness::Exact);
    let local = resolve("local").expect("the tenant's");
    assert_eq!(local.tokenizer.count("hi"), 1);
    assert_eq!(local.exactness(), Exactness::Estimated);
    assert_eq!(resolve("house-claude").expect("bound").framing, Framing::ASSUMED);
    let error = resolve("broken").expect_err("not a tokenizer");
    assert!(
        matches!(error, ModelError::Tokenizer { source: TokenizerError::Invalid { .. }, .. }),
        "{error:?}"
    );
}

#[test]
fn parsed_files_are_kept_once_each_and_not_without_end() {
    let registry = Models::new();
    for round in 0..2 {
        for number in 0..40 {
            let json = bytes_json(&format!("\"truncation\":null,{}", " ".repeat(number)));
            let policy = Policy { models: vec![own("m", "", json)], ..Policy::initial() };
            for _ in 0..2 {
                assert_eq!(
                    registry.resolve(&policy, "m").expect("parses").tokenizer.count("hi"),
                    1
                );
            }
            assert_eq!(registry.parsed_len(), if round == 0 { 16.min(number + 1) } else { 16 });
        }
    }
}
