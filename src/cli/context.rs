//! `keepsake context`: builds a context and shows it with its account.

use clap::{Args, ValueEnum};

use crate::cli::{
    Client, Error, Output, render,
    wire::{parse_label, parse_time},
};
use crate::proto::v1;

/// Where retrieval looks.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScopeArg {
    /// The session alone.
    Session,
    /// All sessions of the user.
    User,
}

impl ScopeArg {
    /// The scope as the contract names it.
    pub(super) fn wire(self) -> v1::Scope {
        match self {
            Self::Session => v1::Scope::Session,
            Self::User => v1::Scope::User,
        }
    }
}

/// The form of the messages.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FormatArg {
    /// Messages made of parts.
    Neutral,
    /// The messages of a Chat Completions request.
    OpenaiChat,
    /// The system text and the messages of a Messages request.
    AnthropicMessages,
}

/// Flags of `keepsake context`.
#[derive(Debug, Args)]
pub struct ContextArgs {
    /// What the user asks now [default: the session's last user turn].
    question: Option<String>,
    /// The session to continue.
    #[arg(long, required_unless_present = "user")]
    session: Option<String>,
    /// The user, for a context from all sessions.
    #[arg(long)]
    user: Option<String>,
    /// The most tokens that the context may use [default: the policy's].
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "TOKENS")]
    budget: u32,
    /// The model that will read it [default: the policy's].
    #[arg(long, default_value = "", hide_default_value = true)]
    model: String,
    /// The form of the messages.
    #[arg(long, value_enum, default_value = "neutral")]
    format: FormatArg,
    /// Tokens of the budget to leave unused.
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    reserve: u32,
    /// Where retrieval looks [default: session when one is named, else user].
    #[arg(long, value_enum)]
    scope: Option<ScopeArg>,
    /// The reference for relative dates [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    as_of: Option<prost_types::Timestamp>,
    /// The user's time zone, by its IANA name [default: UTC].
    #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
    time_zone: String,
    /// Instructions for this call only, before the pinned ones.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    instructions: String,
    /// Only retrieve turns that carry this label; may be given often.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Only retrieve turns created at or after this time.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    created_after: Option<prost_types::Timestamp>,
    /// Only retrieve turns created before this time.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    created_before: Option<prost_types::Timestamp>,
    /// A collection of documents to look in; may be given often [default: the policy's].
    #[arg(long = "collection", value_name = "NAME")]
    collections: Vec<String>,
    /// Shares of the summary, the recent and the retrieved turns, in percent, and of documents when
    /// they have one of their own: 10,50,40 or 10,50,10,30.
    #[arg(long, value_name = "S,R,F[,D]", value_parser = parse_shares)]
    shares: Option<v1::Shares>,
    /// Give every signal of each score.
    #[arg(long)]
    explain: bool,
}

/// Reads three percentages, or four.
pub(super) fn parse_shares(text: &str) -> Result<v1::Shares, String> {
    let parts: Result<Vec<u32>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    match parts.as_deref() {
        Ok([summary, recent, retrieved, documents @ ..]) if documents.len() < 2 => Ok(v1::Shares {
            summary_percent: *summary,
            recent_percent: *recent,
            retrieved_percent: *retrieved,
            documents_percent: documents.first().copied(),
        }),
        _ => Err(format!(
            "`{text}` are no shares: write summary,recent,retrieved as in 10,50,40, or with \
             documents as in 10,50,10,30"
        )),
    }
}

impl ContextArgs {
    /// The request that the flags ask for.
    pub(super) fn request(self) -> v1::BuildContextRequest {
        let format = match self.format {
            FormatArg::Neutral => v1::Format::Neutral,
            FormatArg::OpenaiChat => v1::Format::OpenaiChat,
            FormatArg::AnthropicMessages => v1::Format::AnthropicMessages,
        };
        let filter = v1::Filter {
            roles: Vec::new(),
            metadata: self.labels.into_iter().collect(),
            created_after: self.created_after,
            created_before: self.created_before,
        };
        v1::BuildContextRequest {
            session_id: self.session.unwrap_or_default(),
            user_id: self.user.unwrap_or_default(),
            query: self.question.unwrap_or_default(),
            model: self.model,
            budget_tokens: self.budget,
            reserve_tokens: self.reserve,
            instructions: self.instructions,
            scope: self.scope.map_or(0, |scope| scope.wire() as i32),
            filter: (filter != v1::Filter::default()).then_some(filter),
            as_of: self.as_of,
            time_zone: self.time_zone,
            collections: self.collections,
            shares: self.shares,
            format: format as i32,
            explain: self.explain,
            document_filter: None,
        }
    }
}

/// Builds the context and writes it.
pub(super) async fn run(
    request: v1::BuildContextRequest,
    client: Client,
    output: Output,
) -> Result<(), Error> {
    let mut memory = client.memory;
    let answer = memory.build_context(request).await?.into_inner();
    output.answer("keepsake.v1.BuildContextResponse", &answer, |paint| {
        format!("{}\n{}", render::messages(&answer, paint), render::account(&answer, paint))
    })
}
