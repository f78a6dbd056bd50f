//! `keepsake tenant`: tenants and their policies.

use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use crate::cli::{
    Client, Error, Output,
    connect::read_text,
    context::parse_shares,
    output::Paint,
    render::in_words,
    session::{page_size, parse_limit},
    wire::{from_json, show_time},
};
use crate::proto::v1;

/// The commands on tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Create a tenant; needs an operator's key.
    Create {
        /// The new tenant's id.
        id: String,
        /// Its policy, where it differs from a new tenant's.
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Show a tenant and its policy.
    Show {
        /// The tenant [default: the key's own].
        id: Option<String>,
    },
    /// List the tenants that the key may see.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_limit)]
        limit: usize,
    },
    /// Change a tenant's policy; only what is given changes.
    Update {
        /// The tenant [default: the key's own].
        id: Option<String>,
        /// The new values.
        #[command(flatten)]
        policy: PolicyArgs,
        /// The version that the policy must have.
        #[arg(long, value_name = "VERSION")]
        expected_version: Option<u64>,
    },
}

/// By what the past is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RetrievalArg {
    /// By words and by meaning.
    Hybrid,
    /// By words alone.
    Words,
    /// By meaning alone.
    Vectors,
}

impl RetrievalArg {
    /// As the wire names it.
    pub(super) fn wire(self) -> v1::RetrievalMode {
        match self {
            Self::Hybrid => v1::RetrievalMode::Hybrid,
            Self::Words => v1::RetrievalMode::Words,
            Self::Vectors => v1::RetrievalMode::Vectors,
        }
    }
}

/// A policy in flags.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// The budget of a request that names none.
    #[arg(long, value_name = "TOKENS")]
    budget_default: Option<u32>,
    /// The largest budget that a request may name.
    #[arg(long, value_name = "TOKENS")]
    budget_max: Option<u32>,
    /// Shares of the summary, the recent and the retrieved turns, in percent, and of documents when
    /// they have one of their own: 10,50,40 or 10,50,10,30.
    #[arg(long, value_name = "S,R,F[,D]", value_parser = parse_shares)]
    shares: Option<v1::Shares>,
    /// The collections of a request that names none, with commas; empty: none.
    #[arg(long, value_name = "NAMES")]
    default_collections: Option<String>,
    /// The most turns that a context takes from retrieval; 0: none.
    #[arg(long, value_name = "N")]
    retrieved_turns_max: Option<u32>,
    /// The language of the conversations (de, en, …); empty: detected.
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// By what the past is searched.
    #[arg(long, value_enum)]
    retrieval: Option<RetrievalArg>,
    /// The model of a request that names none.
    #[arg(long, value_name = "MODEL")]
    model_default: Option<String>,
    /// A model of the tenant's own, as NAME=TOKENIZER or NAME=@tokenizer.json; may be given often.
    /// It comes to those that are there; `--policy '{"models":[…]}'` names all.
    #[arg(long = "model", value_name = "NAME=TOKENIZER")]
    models: Vec<String>,
    /// The tokenizer for models that nobody knows; empty: such a model is an error.
    #[arg(long, value_name = "TOKENIZER")]
    tokenizer_fallback: Option<String>,
    /// A policy as protobuf JSON: what it names is set, the rest stays.
    #[arg(long, value_name = "JSON")]
    policy: Option<String>,
}

impl PolicyArgs {
    /// The policy, and the paths of what was given.
    pub(super) fn read(self) -> Result<(v1::Policy, Vec<String>), Error> {
        let mut paths = Vec::new();
        let mut policy = match &self.policy {
            Some(text) => policy_of_json(text, &mut paths)?,
            None => v1::Policy::default(),
        };
        let mut set = |path: &str| paths.push(path.to_owned());
        if let Some(value) = self.budget_default {
            policy.budget_tokens_default = value;
            set("budget_tokens_default");
        }
        if let Some(value) = self.budget_max {
            policy.budget_tokens_max = value;
            set("budget_tokens_max");
        }
        if let Some(value) = self.shares {
            policy.shares = Some(value);
            set("shares");
        }
        if let Some(value) = self.default_collections {
            let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
            let names = names.map(str::to_owned).collect();
            policy.documents.get_or_insert_default().default_collections = names;
            set("documents.default_collections");
        }
        if let Some(value) = self.retrieved_turns_max {
            let retrieval = policy.retrieval.get_or_insert_default();
            retrieval.retrieved_turns_max = Some(value);
            set("retrieval.retrieved_turns_max");
        }
        if let Some(value) = self.language {
            policy.retrieval.get_or_insert_default().language = value;
            set("retrieval.language");
        }
        if let Some(value) = self.retrieval {
            policy.retrieval.get_or_insert_default().mode = value.wire().into();
            set("retrieval.mode");
        }
        if let Some(value) = self.model_default {
            policy.model_default = value;
            set("model_default");
        }
        if let Some(value) = self.tokenizer_fallback {
            policy.tokenizer_fallback = value;
            set("tokenizer_fallback");
        }
        if !self.models.is_empty() {
            let models: Result<Vec<_>, _> = self.models.iter().map(|m| parse_model(m)).collect();
            policy.models = models?;
            set("models");
        }
        Ok((policy, paths))
    }
}

fn policy_of_json(text: &str, paths: &mut Vec<String>) -> Result<v1::Policy, Error> {
    let wrong = |e: String| Error::Usage(format!("--policy: {e}"));
    let value: Value = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    add_paths("", &value, paths);
    from_json("keepsake.v1.Policy", value).map_err(wrong)
}

/// Adds the paths of the fields that `value` gives: of a group, those of its fields, so that the
/// others of the group stay as they are.
fn add_paths(group: &str, value: &Value, paths: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{group}{}", snake_case(key));
        if value.is_object() {
            add_paths(&format!("{path}."), value, paths);
        } else if !value.is_null() && path != "version" {
            paths.push(path);
        }
    }
}

/// The name of a field as masks write it: `budgetTokensMax` is `budget_tokens_max`.
fn snake_case(key: &str) -> String {
    let mut name = String::new();
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

pub(super) fn parse_model(text: &str) -> Result<v1::ModelPolicy, Error> {
    use v1::model_policy::TokenizerSource;
    let (name, tokenizer) = text.split_once('=').ok_or_else(|| {
        Error::Usage(format!("`{text}` is no model: write NAME=TOKENIZER or NAME=@FILE"))
    })?;
    let source = match tokenizer.strip_prefix('@') {
        Some(path) => TokenizerSource::TokenizerJson(read_text(Path::new(path))?),
        None => TokenizerSource::Tokenizer(tokenizer.to_owned()),
    };
    Ok(v1::ModelPolicy { name: name.to_owned(), tokenizer_source: Some(source) })
}

/// Runs a command on tenants.
pub(super) async fn run(
    command: TenantCommand,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    match command {
        TenantCommand::Create { id, policy } => {
            let (policy, paths) = policy.read()?;
            let request = v1::CreateTenantRequest {
                tenant_id: id,
                policy: (!paths.is_empty()).then_some(policy),
                request_id: String::new(),
            };
            let answer = client.tenants.create_tenant(request).await?.into_inner();
            let text = |paint| show(answer.tenant.as_ref(), paint);
            output.answer("keepsake.v1.CreateTenantResponse", &answer, text)
        }
        TenantCommand::Show { id } => {
            let request = v1::GetTenantRequest { tenant_id: id.unwrap_or_default() };
            let answer = client.tenants.get_tenant(request).await?.into_inner();
            let text = |paint| show(answer.tenant.as_ref(), paint);
            output.answer("keepsake.v1.GetTenantResponse", &answer, text)
        }
        TenantCommand::List { limit } => list(limit, client, output).await,
        TenantCommand::Update { id, policy, mut expected_version } => {
            let adds_models = !policy.models.is_empty();
            let (mut policy, paths) = policy.read()?;
            if paths.is_empty() {
                return Err(Error::Usage("nothing to change: give a flag of the policy".into()));
            }
            if adds_models {
                let request = v1::GetTenantRequest { tenant_id: id.clone().unwrap_or_default() };
                let known = client.tenants.get_tenant(request).await?.into_inner().tenant;
                let known = known.and_then(|tenant| tenant.policy).unwrap_or_default();
                // What comes between the look and the change is refused, not lost.
                expected_version = expected_version.or(Some(known.version));
                add_known_models(&mut policy, known);
            }
            let request = v1::UpdateTenantRequest {
                tenant_id: id.unwrap_or_default(),
                policy: Some(policy),
                update_mask: Some(prost_types::FieldMask { paths }),
                expected_version,
                request_id: String::new(),
            };
            let answer = client.tenants.update_tenant(request).await?.into_inner();
            let text = |paint| show(answer.tenant.as_ref(), paint);
            output.answer("keepsake.v1.UpdateTenantResponse", &answer, text)
        }
    }
}

/// Puts the models that a tenant has before those that come, unless these have their names.
pub(super) fn add_known_models(policy: &mut v1::Policy, known: v1::Policy) {
    let mut models = known.models;
    models.retain(|known| policy.models.iter().all(|new| new.name != known.name));
    models.append(&mut policy.models);
    policy.models = models;
}

async fn list(limit: usize, mut client: Client, output: Output) -> Result<(), Error> {
    let mut all = v1::ListTenantsResponse::default();
    while all.tenants.len() < limit {
        let request = v1::ListTenantsRequest {
            page_size: page_size(limit - all.tenants.len()),
            page_token: all.next_page_token,
        };
        let page = client.tenants.list_tenants(request).await?.into_inner();
        all.tenants.extend(page.tenants);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    output.answer("keepsake.v1.ListTenantsResponse", &all, |paint| {
        let line = |tenant: &v1::Tenant| {
            let created = show_time(tenant.create_time.as_ref());
            format!("{}  {}\n", paint.bold(&tenant.tenant_id), paint.dim(&created))
        };
        all.tenants.iter().map(line).collect()
    })
}

fn when_summarized(policy: v1::SummaryPolicy) -> String {
    if policy.off {
        return "none".to_owned();
    }
    format!(
        "above {} tokens down to {}, or after {} minutes of rest",
        policy.tail_high_tokens, policy.tail_low_tokens, policy.idle_minutes
    )
}

fn in_percent(shares: v1::Shares) -> String {
    let documents = match shares.documents_percent {
        Some(percent) => format!(", documents {percent} percent"),
        None => " percent, half of that for documents".to_owned(),
    };
    format!(
        "summary {}, recent {}, retrieved {}{documents}",
        shares.summary_percent, shares.recent_percent, shares.retrieved_percent
    )
}

fn show(tenant: Option<&v1::Tenant>, paint: Paint) -> String {
    let Some(tenant) = tenant else { return String::new() };
    let policy = tenant.policy.clone().unwrap_or_default();
    let shares = policy.shares.unwrap_or_default();
    let retrieval = policy.retrieval.clone().unwrap_or_default();
    let models: Vec<&str> = policy.models.iter().map(|model| model.name.as_str()).collect();
    let rows = [
        ("policy version", policy.version.to_string()),
        ("budget default", format!("{} tokens", policy.budget_tokens_default)),
        ("budget maximum", format!("{} tokens", policy.budget_tokens_max)),
        ("shares", in_percent(shares)),
        ("collections", policy.documents.unwrap_or_default().default_collections.join(", ")),
        ("retrieved turns", format!("at most {}", retrieval.retrieved_turns_max.unwrap_or(200))),
        ("retrieval", in_words(retrieval.mode().as_str_name(), "RETRIEVAL_MODE_")),
        ("language", retrieval.language),
        ("summaries", when_summarized(policy.summaries.unwrap_or_default())),
        ("model default", policy.model_default),
        ("own models", models.join(", ")),
        ("fallback", policy.tokenizer_fallback),
        ("created", show_time(tenant.create_time.as_ref())),
        ("updated", show_time(tenant.update_time.as_ref())),
    ];
    let mut text = format!("{}\n", paint.bold(&tenant.tenant_id));
    for (name, value) in rows {
        let value = if value.is_empty() { "-" } else { &value };
        text.push_str(&format!("  {} {value}\n", paint.dim(&format!("{name:<15}"))));
    }
    text
}
