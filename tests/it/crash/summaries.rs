//! What must hold of a session's summaries at every moment, and once no work waits.

use keepsake::cli::Client;
use keepsake::proto::v1 as pb;
use tonic::Code;

use super::talk::Talk;

/// The marks of the tests: a summary every 20 turns or so.
pub const TAIL_HIGH_TOKENS: u32 = 256;
pub const TAIL_LOW_TOKENS: u32 = 64;

/// Lets the development tenant make summaries often.
pub async fn make_often(client: &mut Client) {
    let summaries = pb::SummaryPolicy {
        tail_high_tokens: TAIL_HIGH_TOKENS,
        tail_low_tokens: TAIL_LOW_TOKENS,
        ..Default::default()
    };
    let request = pb::UpdateTenantRequest {
        tenant_id: "dev".to_owned(),
        policy: Some(pb::Policy { summaries: Some(summaries), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["summaries".to_owned()] }),
        ..Default::default()
    };
    client.tenants.update_tenant(request).await.unwrap();
}

/// All summaries of a session; none when there is no session.
async fn list(client: &mut Client, session: &str) -> Vec<pb::Summary> {
    let mut request = pb::ListSummariesRequest {
        session_id: session.to_owned(),
        page_size: 1_000,
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let page = match client.memory.list_summaries(request.clone()).await {
            Ok(page) => page.into_inner(),
            Err(status) if status.code() == Code::NotFound => return all,
            Err(status) => panic!("summaries can be listed: {status}"),
        };
        all.extend(page.summaries);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

/// Checks every range of a session's summaries; with `all_made` also that frontier and tail are all
/// of its turns. Gives how many summaries there are.
pub async fn check(client: &mut Client, talk: &Talk, all_made: bool) -> usize {
    let summaries = list(client, &talk.id).await;
    let living: Vec<u64> = talk.living().iter().map(|said| said.seq).collect();
    let name = &talk.id;
    let ranges: Vec<_> = summaries.iter().map(|s| (s.level, s.first_seq, s.last_seq)).collect();
    for (level, first, last) in &ranges {
        assert!(first <= last, "`{name}`: {ranges:?}");
        // A summary over an erased or superseded turn is void in the same commit.
        let holds = |seq: &u64| first <= seq && seq <= last;
        assert!(living.iter().any(holds), "`{name}`: {level} {first}–{last} covers no turn");
        let below =
            |(other, a, b): &&(u32, u64, u64)| other + 1 == *level && a <= last && b >= first;
        let children: Vec<_> = ranges.iter().filter(below).collect();
        if *level > 0 {
            let ends = (children.first().map(|c| c.1), children.last().map(|c| c.2));
            assert_eq!(ends, (Some(*first), Some(*last)), "`{name}`: {ranges:?}");
            let held = |seq: &&u64| children.iter().any(|(_, a, b)| a <= *seq && *seq <= b);
            let open = living.iter().filter(|seq| holds(seq)).find(|seq| !held(seq));
            assert_eq!(open, None, "`{name}`: a turn between the parts of {first}–{last}");
        }
    }
    let frontier: Vec<_> = summaries.iter().filter(|summary| summary.frontier).collect();
    for pair in frontier.windows(2) {
        assert!(pair[0].last_seq < pair[1].first_seq, "`{name}` is covered twice: {ranges:?}");
    }
    if all_made {
        let covered = |seq: &u64| {
            frontier.iter().any(|summary| summary.first_seq <= *seq && *seq <= summary.last_seq)
        };
        let end = frontier.last().map_or(0, |summary| summary.last_seq);
        let open = living.iter().take_while(|seq| **seq <= end).find(|seq| !covered(seq));
        assert_eq!(open, None, "`{name}`: neither in the frontier nor in the tail");
        let tail = talk.living().into_iter().filter(|said| said.seq > end);
        let tokens: usize = tail.map(|said| said.text.len().div_ceil(4)).sum();
        // A summary ends at a border of exchanges, which may lie a little further.
        let most = 2 * TAIL_HIGH_TOKENS as usize;
        assert!(tokens <= most, "`{name}`: {tokens} tokens after the last summary");
    }
    summaries.len()
}
