//! The retrieved section: chosen hits as one message in time order, and its count.

use crate::context::{
    Cost, CountMethod, Dropped, Input, Item, Message, MessageRole, Trust, block,
    groups::Rules,
    measure::{cost, text_cost},
    select::{Choice, Taken, choose},
};
use crate::types::Seq;

/// The retrieved section.
pub(super) struct Quote {
    /// The message and its cost; none when nothing was taken.
    pub(super) message: Option<(Message, Cost)>,
    pub(super) method: CountMethod,
    /// What it shows, in the order of the text; the message's index is not known here.
    pub(super) items: Vec<Item>,
    /// What was left out, best first.
    pub(super) dropped: Vec<Dropped>,
}

/// Packs hits into `space` tokens, the message around them included.
pub(super) fn quote(
    input: &Input<'_>,
    rules: Rules<'_>,
    space: u64,
    is_shown: &dyn Fn(usize, Seq) -> bool,
) -> Quote {
    let today = block::today(block::day(input.as_of, input.time_zone));
    let fixed = if input.hits.is_empty() {
        0
    } else {
        [block::OPEN, block::CLOSE, &today].map(|text| rules.tokenizer.count(text)).iter().sum()
    };
    let around = text_cost(fixed, rules.format).tokens(rules.framing);
    let mut choice = choose(input, space.saturating_sub(around), is_shown);
    let mut message = None;
    let mut method = CountMethod::Added;
    while !choice.taken.is_empty() {
        let text = Message::text(MessageRole::User, render(&choice, &today));
        let own = if rules.tokenizer.lines_add_up() {
            let lines: u32 = choice.taken.iter().map(|taken| taken.tokens).sum();
            let headings: u32 = choice.headings.values().sum();
            text_cost(fixed + lines + headings, rules.format)
        } else {
            method = CountMethod::Recounted;
            cost(std::slice::from_ref(&text), rules.format, rules.tokenizer)
        };
        let over = own.tokens(rules.framing).saturating_sub(space);
        if over == 0 {
            message = Some((text, own));
            break;
        }
        choice.give_up(over);
    }
    choice.dropped.sort_by(|a, b| b.score.total_cmp(&a.score));
    let items = in_order(&choice).into_iter().map(item).collect();
    Quote { message, method, items, dropped: choice.dropped }
}

/// By day, then session, then seq: each session has one heading a day.
fn in_order<'a, 'b>(choice: &'b Choice<'a>) -> Vec<&'b Taken<'a>> {
    let mut taken: Vec<_> = choice.taken.iter().collect();
    taken.sort_by_key(|taken| (taken.day, taken.hit.source, taken.hit.seq));
    taken
}

fn render(choice: &Choice<'_>, today: &str) -> String {
    let mut text = block::OPEN.to_owned();
    let mut place = None;
    for taken in in_order(choice) {
        if place.replace((taken.day, taken.hit.source)) != Some((taken.day, taken.hit.source)) {
            text.push_str(&block::heading(taken.day));
        }
        text.push_str(&taken.line.text);
    }
    text.push_str(block::CLOSE);
    text.push_str(today);
    text
}

fn item(taken: &Taken<'_>) -> Item {
    Item {
        source: Some(taken.hit.source),
        first_seq: taken.hit.seq,
        last_seq: taken.hit.seq,
        tokens: taken.tokens,
        score: taken.hit.score,
        partial: taken.partial,
        escaped: taken.line.escaped,
        message_index: 0,
        trust: Trust::Quoted,
        citation: None,
    }
}
