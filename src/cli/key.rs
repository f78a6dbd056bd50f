//! `keepsake key`: API keys.

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::{
    Client, Error, Output,
    render::in_words,
    session::{page_size, parse_limit},
    wire::{parse_time, show_time},
};
use crate::proto::v1;

/// What a key may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KeyScopeArg {
    /// Read sessions, build contexts, search.
    Read,
    /// Append, change, delete.
    Write,
    /// Policy and keys of its own tenant.
    Admin,
    /// All tenants.
    Operator,
}

impl KeyScopeArg {
    fn wire(self) -> v1::KeyScope {
        match self {
            Self::Read => v1::KeyScope::Read,
            Self::Write => v1::KeyScope::Write,
            Self::Admin => v1::KeyScope::Admin,
            Self::Operator => v1::KeyScope::Operator,
        }
    }
}

/// The commands on API keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a key. Its secret is shown once.
    Create(CreateArgs),
    /// List keys, without secrets.
    List {
        /// The tenant [default: the key's own].
        #[arg(long, default_value = "", hide_default_value = true)]
        tenant: String,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_limit)]
        limit: usize,
    },
    /// Revoke a key: it is refused from the next request on.
    Revoke {
        /// The key's public id.
        key_id: String,
        /// The tenant [default: the key's own].
        #[arg(long, default_value = "", hide_default_value = true)]
        tenant: String,
    },
}

/// Flags of `keepsake key create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The tenant that it is for [default: the key's own].
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    /// What people call it.
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// What it may do.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "read,write")]
    scopes: Vec<KeyScopeArg>,
    /// When it ends [default: never].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires: Option<prost_types::Timestamp>,
}

/// Runs a command on keys.
pub(super) async fn run(
    command: KeyCommand,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    match command {
        KeyCommand::Create(args) => create(args, client, output).await,
        KeyCommand::List { tenant, limit } => list(tenant, limit, client, output).await,
        KeyCommand::Revoke { key_id, tenant } => {
            let request =
                v1::RevokeApiKeyRequest { tenant_id: tenant, key_id, request_id: String::new() };
            let answer = client.tenants.revoke_api_key(request).await?.into_inner();
            output.answer("keepsake.v1.RevokeApiKeyResponse", &answer, |_| {
                answer.api_key.as_ref().map(line).unwrap_or_default()
            })
        }
    }
}

async fn create(args: CreateArgs, mut client: Client, output: Output) -> Result<(), Error> {
    let request = v1::CreateApiKeyRequest {
        tenant_id: args.tenant,
        display_name: args.name,
        scopes: args.scopes.iter().map(|scope| scope.wire() as i32).collect(),
        expire_time: args.expires,
        request_id: String::new(),
    };
    let answer = client.tenants.create_api_key(request).await?.into_inner();
    output.answer("keepsake.v1.CreateApiKeyResponse", &answer, |paint| {
        let mut text = answer.api_key.as_ref().map(line).unwrap_or_default();
        if !answer.secret.is_empty() {
            text.push_str(&format!("  secret, shown once: {}\n", paint.bold(&answer.secret)));
        }
        text
    })
}

async fn list(
    tenant: String,
    limit: usize,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let mut all = v1::ListApiKeysResponse::default();
    while all.api_keys.len() < limit {
        let request = v1::ListApiKeysRequest {
            tenant_id: tenant.clone(),
            page_size: page_size(limit - all.api_keys.len()),
            page_token: all.next_page_token,
        };
        let page = client.tenants.list_api_keys(request).await?.into_inner();
        all.api_keys.extend(page.api_keys);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    output.answer("keepsake.v1.ListApiKeysResponse", &all, |_| {
        all.api_keys.iter().map(line).collect()
    })
}

fn line(key: &v1::ApiKey) -> String {
    let scopes: Vec<String> =
        key.scopes().map(|scope| in_words(scope.as_str_name(), "KEY_SCOPE_")).collect();
    let mut text = format!("{}  tenant {}  {}", key.key_id, key.tenant_id, scopes.join(","));
    if !key.display_name.is_empty() {
        text.push_str(&format!("  {}", key.display_name));
    }
    text.push_str(&format!("  created {}", show_time(key.create_time.as_ref())));
    for (word, time) in [("ends", &key.expire_time), ("revoked", &key.revoke_time)] {
        if time.is_some() {
            text.push_str(&format!("  {word} {}", show_time(time.as_ref())));
        }
    }
    text.push('\n');
    text
}
