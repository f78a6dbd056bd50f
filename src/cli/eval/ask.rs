//! Asks one question by Search and by BuildContext, and checks what came back against the record.
//! In: a question and what was appended. Out: ids of turns, and what each context shows.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use serde_json::{Value, json};

use crate::cli::{
    Client, Error,
    eval::questions::Question,
    eval::table::Latencies,
    import::{ImportSession, user_id},
    wire::{parse_time, sent_text},
};
use crate::proto::v1;

/// How many hits a question asks for: score.py looks at 50 at most.
const TOP: u32 = 50;

/// What was appended: by session and seq, the original id and the text of each turn.
#[derive(Debug, Default)]
pub struct Turns {
    by_place: HashMap<(String, u64), (String, String)>,
    last_of_user: HashMap<String, prost_types::Timestamp>,
}

impl Turns {
    /// Puts the seqs that the server gave beside the turns that they were given to.
    pub fn new(sessions: &[ImportSession], seqs: &[(String, Vec<u64>)]) -> Self {
        let seqs: HashMap<&str, &Vec<u64>> =
            seqs.iter().map(|(session, seqs)| (session.as_str(), seqs)).collect();
        let mut all = Self::default();
        for session in sessions {
            let given = seqs.get(session.session_id.as_str()).map(|seqs| seqs.as_slice());
            for (turn, seq) in session.turns.iter().zip(given.unwrap_or_default()) {
                let original = turn.metadata.get("turn").unwrap_or(&turn.external_id).clone();
                let place = (session.session_id.clone(), *seq);
                all.by_place.insert(place, (original, sent_text(&turn.parts)));
                if let Some(at) = turn.created_at {
                    let last = all.last_of_user.entry(session.user_id.clone()).or_insert(at);
                    if (at.seconds, at.nanos) > (last.seconds, last.nanos) {
                        *last = at;
                    }
                }
            }
        }
        all
    }
}

/// A question and how to ask it.
pub struct Asked<'a> {
    /// The question.
    pub question: &'a Question,
    /// The budgets to ask with.
    pub budgets: &'a [u32],
    /// The model whose tokenizer counts.
    pub model: &'a str,
    /// What was appended.
    pub turns: &'a Turns,
}

/// What was answered to a question.
#[derive(Debug)]
pub struct Answer {
    /// The original ids of the hits, best first.
    pub ranked: Vec<String>,
    /// A context for each budget.
    pub contexts: Vec<Context>,
}

/// A context that was made.
#[derive(Debug)]
pub struct Context {
    /// The budget, in tokens.
    pub budget: u32,
    /// How many it takes.
    pub tokens: u32,
    /// What the whole history would take.
    pub full_history_tokens: u64,
    /// What it shows.
    pub shown: Shown,
}

impl Answer {
    /// The lines of the run file.
    pub fn lines(&self, query: &str) -> Vec<Value> {
        let line = |context: &Context| {
            let Shown { turns, partial, text } = &context.shown;
            json!({
                "query": query, "budget": context.budget, "tokens": context.tokens,
                "turns": turns, "partial": partial, "text": text,
            })
        };
        let ranking = json!({"query": query, "ranked": self.ranked});
        std::iter::once(ranking).chain(self.contexts.iter().map(line)).collect()
    }
}

/// Asks, and notes latencies.
///
/// # Errors
/// Of the calls; [`Error::Usage`] for a time that is none.
pub async fn ask(
    asked: &Asked<'_>,
    client: &Client,
    latencies: &mut Latencies,
) -> Result<Answer, Error> {
    let question = asked.question;
    let user = user_id(&question.conversation);
    let as_of = moment(asked, &user)?;
    let mut memory = client.memory.clone();
    let request = v1::SearchRequest {
        user_id: user.clone(),
        query: question.text.clone(),
        top_k: TOP,
        scope: v1::Scope::User as i32,
        as_of,
        ..Default::default()
    };
    let started = Instant::now();
    let found = memory.search(request).await?.into_inner();
    latencies.search.push(started.elapsed());
    let ranked = found.hits.iter().filter_map(|hit| original_of(hit, asked)).collect();
    let mut contexts = Vec::new();
    for &budget in asked.budgets {
        let request = v1::BuildContextRequest {
            user_id: user.clone(),
            query: question.text.clone(),
            model: asked.model.to_owned(),
            budget_tokens: budget,
            scope: v1::Scope::User as i32,
            as_of,
            ..Default::default()
        };
        let started = Instant::now();
        let context = memory.build_context(request).await?.into_inner();
        latencies.context.push(started.elapsed());
        contexts.push(Context {
            budget,
            tokens: context.used_tokens,
            full_history_tokens: context.full_history_tokens,
            shown: shown(&context, asked.turns),
        });
    }
    Ok(Answer { ranked, contexts })
}

/// When the question is asked: as the set says, else a second after the user's last turn.
fn moment(asked: &Asked<'_>, user: &str) -> Result<Option<prost_types::Timestamp>, Error> {
    let query = &asked.question.query;
    match &asked.question.as_of {
        Some(text) => {
            parse_time(text).map(Some).map_err(|e| Error::Usage(format!("question {query}: {e}")))
        }
        None => Ok(asked
            .turns
            .last_of_user
            .get(user)
            .map(|last| prost_types::Timestamp { seconds: last.seconds + 1, nanos: last.nanos })),
    }
}

fn original_of(hit: &v1::Hit, asked: &Asked<'_>) -> Option<String> {
    let place = (hit.session_id.clone(), hit.turn.as_ref()?.seq);
    asked.turns.by_place.get(&place).map(|(original, _)| original.clone())
}

/// What a context shows, in the words of score.py.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Turns whose whole text stands in a message.
    pub turns: Vec<String>,
    /// Turns that the account names and whose whole text stands in none.
    pub partial: Vec<String>,
    /// The messages as they are sent.
    pub text: String,
}

/// Checks the account of a context against its messages.
pub fn shown(context: &v1::BuildContextResponse, turns: &Turns) -> Shown {
    let texts: Vec<String> =
        context.messages.iter().map(|message| sent_text(&message.parts)).collect();
    let mut whole = BTreeMap::new();
    // A summary shows what was said, but no turn of its range.
    let sections = context.sections.iter().filter(|s| s.kind() != v1::SectionKind::Summary);
    for item in sections.flat_map(|s| &s.items).filter(|item| item.first_seq > 0) {
        for seq in item.first_seq..=item.last_seq {
            let Some((original, text)) = turns.by_place.get(&(item.session_id.clone(), seq)) else {
                continue;
            };
            let stands = !item.partial && texts.iter().any(|message| message.contains(text));
            let known = whole.entry(original.clone()).or_insert(false);
            *known |= stands;
        }
    }
    let (turns, partial): (Vec<_>, Vec<_>) = whole.into_iter().partition(|(_, whole)| *whole);
    let ids = |list: Vec<(String, bool)>| list.into_iter().map(|(id, _)| id).collect();
    Shown { turns: ids(turns), partial: ids(partial), text: texts.join("\n") }
}
