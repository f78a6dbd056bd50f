//! Policies and keys from the wire.

use crate::api::{
    parse::{Faults, NAME_BYTES_MAX},
    parse_context::budget,
    render::SCOPES,
};
use crate::memory::{PolicyChange, SummaryChange};
use crate::proto::v1 as pb;
use crate::record::Scopes;
use crate::tokens::JSON_BYTES_MAX;
use crate::types::{CollectionId, ModelPolicy, Policy, RetrievalMode};

/// The most models of a tenant's own.
pub const MODELS_MAX: usize = 32;
/// The most collections that a request without any looks in: each is asked for its own index.
pub const DEFAULT_COLLECTIONS_MAX: usize = 16;
/// The most turns a context may take from retrieval.
pub const RETRIEVED_TURNS_MAX: u32 = 1_000;
/// The languages that ISO 639-1 has codes for, those of older editions included.
const LANGUAGES: &str = "\
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy \
    da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu \
    hy hz ia id ie ig ii ik in io is it iu iw ja ji jv ka kg ki kj kk kl km kn ko kr ks ku kv kw \
    ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny \
    oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss \
    st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za \
    zh zu";
/// The smallest mark of unsummarized turns: a few turns at least stay as they were said.
const TAIL_TOKENS_MIN: u32 = 256;
/// The largest mark of unsummarized turns: the largest budget.
const TAIL_TOKENS_MAX: u32 = 1_000_000;
/// The longest rest before a session counts as idle, ten years, in minutes.
const IDLE_MINUTES_MAX: u32 = 5_256_000;

/// The fields of a policy that may be set, by their paths.
const PATHS: [&str; 22] = [
    "budget_tokens_default",
    "budget_tokens_max",
    "shares",
    "shares.summary_percent",
    "shares.recent_percent",
    "shares.retrieved_percent",
    "shares.documents_percent",
    "retrieval",
    "retrieval.retrieved_turns_max",
    "retrieval.language",
    "retrieval.mode",
    "model_default",
    "models",
    "tokenizer_fallback",
    "summaries",
    "summaries.tail_high_tokens",
    "summaries.tail_low_tokens",
    "summaries.idle_minutes",
    "summaries.off",
    "documents",
    "documents.default_collections",
    "*",
];

/// The policy of a new tenant: what is given, over what new tenants get.
pub fn initial(faults: &mut Faults, policy: Option<pb::Policy>) -> Policy {
    let Some(policy) = policy else { return Policy::initial() };
    let named = |path: &&&str| is_given(&policy, path);
    let given: Vec<String> = PATHS.iter().filter(named).map(|path| (*path).to_owned()).collect();
    let change = change(faults, policy, &given);
    Policy { version: 1, ..change.apply(&Policy::initial()) }
}

fn is_given(policy: &pb::Policy, path: &str) -> bool {
    let retrieval = policy.retrieval.as_ref();
    match path {
        "budget_tokens_default" => policy.budget_tokens_default != 0,
        "budget_tokens_max" => policy.budget_tokens_max != 0,
        "shares" => policy.shares.is_some(),
        "retrieval.retrieved_turns_max" => {
            retrieval.is_some_and(|retrieval| retrieval.retrieved_turns_max.is_some())
        }
        "retrieval.language" => retrieval.is_some_and(|retrieval| !retrieval.language.is_empty()),
        "retrieval.mode" => retrieval.is_some_and(|retrieval| retrieval.mode != 0),
        "summaries" => policy.summaries.is_some(),
        "model_default" => !policy.model_default.is_empty(),
        "models" => !policy.models.is_empty(),
        "documents" => policy.documents.is_some(),
        "tokenizer_fallback" => !policy.tokenizer_fallback.is_empty(),
        _ => false,
    }
}

/// A change of a policy: the fields that `paths` name.
pub fn change(faults: &mut Faults, policy: pb::Policy, paths: &[String]) -> PolicyChange {
    for path in paths.iter().filter(|path| !PATHS.contains(&path.as_str())) {
        faults.add("update_mask", format!("`{path:.64}` is no field of a policy that can be set"));
    }
    let names = |path: &str| paths.iter().any(|p| p == path || p == "*");
    let mut change = PolicyChange::default();
    let budgets = [
        ("budget_tokens_default", policy.budget_tokens_default, &mut change.budget_tokens_default),
        ("budget_tokens_max", policy.budget_tokens_max, &mut change.budget_tokens_max),
    ];
    for (path, tokens, field) in budgets {
        if names(path) {
            *field = budget(faults, &format!("policy.{path}"), tokens);
            if field.is_none() {
                faults.add(format!("policy.{path}"), "must be given");
            }
        }
    }
    let given = policy.shares.unwrap_or_default();
    change.shares = shares(faults, given, &names);
    if names("shares") || names("shares.documents_percent") {
        let percent = given.documents_percent;
        change.documents_percent = Some(percent.map(|p| u8::try_from(p).unwrap_or(u8::MAX)));
    }
    let retrieval = policy.retrieval.unwrap_or_default();
    if names("retrieval") || names("retrieval.retrieved_turns_max") {
        let turns = retrieval.retrieved_turns_max.unwrap_or(200);
        if turns > RETRIEVED_TURNS_MAX {
            let description = format!("must be at most {RETRIEVED_TURNS_MAX}");
            faults.add("policy.retrieval.retrieved_turns_max", description);
        }
        change.retrieved_turns_max = Some(turns);
    }
    if names("retrieval") || names("retrieval.language") {
        let language = retrieval.language.clone();
        if !language.is_empty() && !is_language(&language) {
            faults.add("policy.retrieval.language", "must be an ISO 639-1 code such as `de`");
        }
        change.language = Some(language);
    }
    if names("retrieval") || names("retrieval.mode") {
        change.retrieval_mode = Some(retrieval_mode(faults, retrieval.mode));
    }
    change.summaries = summaries(faults, policy.summaries.unwrap_or_default(), &names);
    if names("documents") || names("documents.default_collections") {
        let given = policy.documents.unwrap_or_default();
        change.default_collections = Some(collections(faults, &given.default_collections));
    }
    if names("model_default") {
        faults.required_text("policy.model_default", &policy.model_default, NAME_BYTES_MAX);
        change.model_default = Some(policy.model_default);
    }
    if names("models") {
        change.models = Some(models(faults, policy.models));
    }
    if names("tokenizer_fallback") {
        faults.text("policy.tokenizer_fallback", &policy.tokenizer_fallback, NAME_BYTES_MAX);
        change.tokenizer_fallback = Some(policy.tokenizer_fallback);
    }
    change
}

/// Whether it is the code of a language.
fn is_language(code: &str) -> bool {
    LANGUAGES.split(' ').any(|known| known == code)
}

fn retrieval_mode(faults: &mut Faults, mode: i32) -> RetrievalMode {
    match faults.wire_enum("policy.retrieval.mode", mode) {
        Some(pb::RetrievalMode::Words) => RetrievalMode::Words,
        Some(pb::RetrievalMode::Vectors) => RetrievalMode::Vectors,
        Some(pb::RetrievalMode::Unspecified | pb::RetrievalMode::Hybrid) | None => {
            RetrievalMode::Hybrid
        }
    }
}

/// The shares that the paths name.
fn shares(faults: &mut Faults, given: pb::Shares, names: &dyn Fn(&str) -> bool) -> [Option<u8>; 3] {
    let whole = names("shares");
    // A mistake in a part alone is found beside the other parts, when it is applied.
    if whole && faults.shares("policy.shares", &given).is_none() {
        return [None; 3];
    }
    let parts = [
        ("shares.summary_percent", given.summary_percent),
        ("shares.recent_percent", given.recent_percent),
        ("shares.retrieved_percent", given.retrieved_percent),
    ];
    parts.map(|(path, percent)| {
        (whole || names(path)).then_some(u8::try_from(percent).unwrap_or(u8::MAX))
    })
}

/// The times of summaries that the paths name.
fn summaries(
    faults: &mut Faults,
    given: pb::SummaryPolicy,
    names: &dyn Fn(&str) -> bool,
) -> SummaryChange {
    let whole = names("summaries");
    let named = |path: &str| whole || names(&format!("summaries.{path}"));
    let mut number = |name: &str, value: u32, (least, most): (u32, u32)| {
        if named(name) && value != 0 && !(least..=most).contains(&value) {
            faults.add(format!("policy.summaries.{name}"), format!("must be {least} to {most}"));
        }
        named(name).then_some(value)
    };
    let tail = (TAIL_TOKENS_MIN, TAIL_TOKENS_MAX);
    SummaryChange {
        tail_high_tokens: number("tail_high_tokens", given.tail_high_tokens, tail),
        tail_low_tokens: number("tail_low_tokens", given.tail_low_tokens, (1, TAIL_TOKENS_MAX)),
        idle_minutes: number("idle_minutes", given.idle_minutes, (1, IDLE_MINUTES_MAX)),
        off: named("off").then_some(given.off),
    }
}

fn collections(faults: &mut Faults, given: &[String]) -> Vec<CollectionId> {
    let field = "policy.documents.default_collections";
    if given.len() > DEFAULT_COLLECTIONS_MAX {
        faults.add(field, format!("must hold at most {DEFAULT_COLLECTIONS_MAX}"));
        return Vec::new();
    }
    let mut parsed: Vec<CollectionId> = Vec::new();
    for (i, id) in given.iter().enumerate() {
        match CollectionId::parse(id) {
            Ok(id) if parsed.contains(&id) => {
                faults.add(format!("{field}[{i}]"), "must not come twice");
            }
            Ok(id) => parsed.push(id),
            Err(error) => faults.add(format!("{field}[{i}]"), error.to_string()),
        }
    }
    parsed
}

fn models(faults: &mut Faults, models: Vec<pb::ModelPolicy>) -> Vec<ModelPolicy> {
    if models.len() > MODELS_MAX {
        faults.add("policy.models", format!("must hold at most {MODELS_MAX}"));
        return Vec::new();
    }
    let mut parsed: Vec<ModelPolicy> = Vec::new();
    for (i, model) in models.into_iter().enumerate() {
        let at = format!("policy.models[{i}]");
        faults.required_text(&format!("{at}.name"), &model.name, NAME_BYTES_MAX);
        if parsed.iter().any(|known| known.name == model.name) {
            faults.add(format!("{at}.name"), "must not come twice");
        }
        let (tokenizer, tokenizer_json) = match model.tokenizer_source {
            Some(pb::model_policy::TokenizerSource::Tokenizer(name)) => (name, String::new()),
            Some(pb::model_policy::TokenizerSource::TokenizerJson(json)) => (String::new(), json),
            None => {
                faults.add(&at, "must have a `tokenizer` or a `tokenizer_json`");
                continue;
            }
        };
        faults.text(&format!("{at}.tokenizer"), &tokenizer, NAME_BYTES_MAX);
        faults.text(&format!("{at}.tokenizer_json"), &tokenizer_json, JSON_BYTES_MAX);
        parsed.push(ModelPolicy { name: model.name, tokenizer, tokenizer_json });
    }
    parsed
}

/// The scopes of a new key; at least one.
pub fn scopes(faults: &mut Faults, scopes: &[i32]) -> Scopes {
    if scopes.is_empty() {
        faults.add("scopes", "must hold at least one");
    }
    let mut all = Scopes::default();
    for (i, scope) in scopes.iter().enumerate() {
        let field = format!("scopes[{i}]");
        let Some(named) = faults.wire_enum::<pb::KeyScope>(&field, *scope) else { continue };
        match SCOPES.iter().find(|(name, _)| *name == named) {
            Some((_, scope)) => all = all.and(*scope),
            None => faults.add(field, "must be given"),
        }
    }
    all
}
