//! Policies and keys from the wire.

use crate::api::{
    parse::{Faults, NAME_BYTES_MAX},
    parse_context::budget,
    render::SCOPES,
};
use crate::memory::PolicyChange;
use crate::proto::v1 as pb;
use crate::record::Scopes;
use crate::tokens::JSON_BYTES_MAX;
use crate::types::{ModelPolicy, Policy};

/// The most models of a tenant's own.
const MODELS_MAX: usize = 32;
/// The most turns a context may take from retrieval.
const RETRIEVED_TURNS_MAX: u32 = 1_000;
const LANGUAGE_BYTES: usize = 8;

/// The fields of a policy that may be set, by their paths.
const PATHS: [&str; 10] = [
    "budget_tokens_default",
    "budget_tokens_max",
    "shares",
    "retrieval",
    "retrieval.retrieved_turns_max",
    "retrieval.language",
    "model_default",
    "models",
    "tokenizer_fallback",
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
        "model_default" => !policy.model_default.is_empty(),
        "models" => !policy.models.is_empty(),
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
    if names("shares") {
        let shares = policy.shares.unwrap_or_default();
        change.shares = faults.shares("policy.shares", &shares);
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
        let language = retrieval.language;
        if language.len() > LANGUAGE_BYTES || !language.bytes().all(|b| b.is_ascii_lowercase()) {
            faults.add("policy.retrieval.language", "must be an ISO 639-1 code such as `de`");
        }
        change.language = Some(language);
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
