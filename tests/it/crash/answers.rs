//! What a server answers: one that lived through it all and one that read the record anew must say
//! the same.

use std::collections::BTreeSet;

use keepsake::cli::Client;
use keepsake::proto::v1 as pb;

use super::talk::Talk;

/// The moment that all questions are asked at.
const AS_OF: prost_types::Timestamp = prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 };

/// The sessions for which work is open; of those that wait only for a rest nothing is.
async fn at_work(client: &mut Client) -> BTreeSet<String> {
    let mut request = pb::ListJobsRequest { page_size: 1_000, ..Default::default() };
    let mut sessions = BTreeSet::new();
    loop {
        let page = client.tenants.list_jobs(request.clone()).await.unwrap().into_inner();
        let open = page.jobs.into_iter().filter(|job| {
            assert_ne!(job.state(), pb::JobState::Dead, "{job:?}");
            job.kind() == pb::JobKind::Summarize
        });
        sessions.extend(open.map(|job| job.session_id));
        if page.next_page_token.is_empty() {
            return sessions;
        }
        request.page_token = page.next_page_token;
    }
}

/// Waits until no summary is due but those whose worker was killed with its lease, which others
/// take over within a minute; with `to_the_end` for these too. Gives the sessions that are left.
pub async fn settled(client: &mut Client, talks: &[&Talk], to_the_end: bool) -> BTreeSet<String> {
    let mut before = BTreeSet::new();
    let mut same = 0;
    loop {
        let open = at_work(client).await;
        same = if open == before { same + 1 } else { 0 };
        let given_up = !to_the_end && same > 50;
        if open.is_empty() || given_up {
            for talk in talks.iter().filter(|talk| talk.exists()) {
                while waits(client, talk).await {}
            }
            return open;
        }
        before = open;
        // Looks once in a while: what goes on in another process tells nobody.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Whether turns of a session wait for vectors.
async fn waits(client: &mut Client, talk: &Talk) -> bool {
    let request = pb::GetSessionRequest { session_id: talk.id.clone() };
    let found = client.memory.get_session(request).await.unwrap().into_inner();
    found.pending.is_some_and(|pending| pending.vectors_pending > 0)
}

/// A context and the hits for the same question.
pub type Answer = (pb::BuildContextResponse, pb::SearchResponse);

/// What is answered to some questions about a session.
pub async fn answers(client: &mut Client, talk: &Talk) -> Vec<Answer> {
    let mut all = Vec::new();
    let living = talk.living();
    for said in living.iter().step_by(living.len() / 3 + 1) {
        let question = format!("Which depot moved, {}?", said.text.split(' ').nth(6).unwrap());
        let build = pb::BuildContextRequest {
            session_id: talk.id.clone(),
            query: question.clone(),
            budget_tokens: 700,
            as_of: Some(AS_OF),
            explain: true,
            ..Default::default()
        };
        let built = client.memory.build_context(build).await.unwrap().into_inner();
        let search = pb::SearchRequest {
            session_id: talk.id.clone(),
            query: question,
            top_k: 20,
            as_of: Some(AS_OF),
            explain: true,
            ..Default::default()
        };
        let found = client.memory.search(search).await.unwrap().into_inner();
        assert!(!found.hits.is_empty(), "`{}` is searched", talk.id);
        all.push((built, found));
    }
    all
}
