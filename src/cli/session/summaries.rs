//! `keepsake session summaries`.

use crate::cli::{Client, Error, Output, session::page_size, wire::show_time};
use crate::proto::v1;

/// Lists the summaries of a session.
pub(super) async fn run(
    id: String,
    limit: usize,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let mut all = v1::ListSummariesResponse::default();
    while all.summaries.len() < limit {
        let request = v1::ListSummariesRequest {
            session_id: id.clone(),
            page_size: page_size(limit - all.summaries.len()),
            page_token: all.next_page_token,
        };
        let page = client.memory.list_summaries(request).await?.into_inner();
        all.summaries.extend(page.summaries);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    output.answer("keepsake.v1.ListSummariesResponse", &all, |paint| {
        let mut text = String::new();
        for summary in &all.summaries {
            let on = if summary.frontier { ", on the frontier" } else { "" };
            let title = format!("turns {} to {}", summary.first_seq, summary.last_seq);
            let made = show_time(summary.create_time.as_ref());
            let note = format!("level {}{on}, {}, {made}", summary.level, summary.method);
            text.push_str(&format!("{}  {}\n", paint.bold(&title), paint.dim(&note)));
            text.push_str(&summary.text);
            text.push('\n');
        }
        if all.summaries.is_empty() {
            text.push_str("no summaries\n");
        } else if !all.next_page_token.is_empty() {
            text.push_str(&paint.dim("there are more: raise --limit\n"));
        }
        text
    })
}
