//! What a read gave, held against what there was at the moments of the call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keepsake::context::{Context, Format, SectionKind};
use keepsake::memory::{BuildRequest, Built, Degraded, Scope};
use keepsake::types::Seq;

use super::call::{Name, pinned, words};
use super::life::Life;
use super::model::{Model, Since};
use crate::context_counter::Counter;

/// A session as a read may see it: what was there all the time, and what was at some moment.
pub struct Seen {
    pub must: BTreeSet<u64>,
    pub may: BTreeSet<u64>,
    pub words: BTreeSet<(u8, u64)>,
    /// Whether there was one state only.
    is_one: bool,
    pub views: Vec<Option<Arc<Life>>>,
}

impl Seen {
    pub fn of(model: &Model, name: &Name, since: Since) -> Self {
        let views = model.views(name, since);
        let living = |view: &Option<Arc<Life>>| -> BTreeSet<u64> {
            view.iter().flat_map(|life| life.living()).map(|(seq, _)| seq).collect()
        };
        let sets: Vec<BTreeSet<u64>> = views.iter().map(living).collect();
        let may = sets.iter().flatten().copied().collect();
        let must = sets.iter().skip(1).fold(sets[0].clone(), |must, set| &must & set);
        let turns = views.iter().flatten().flat_map(|life| life.living());
        let pinned = views.iter().flatten().filter_map(|life| life.pinned);
        let said = turns.map(|(_, turn)| turn.word).chain(pinned);
        let words = said.map(|word| (name.0, word)).collect();
        Self { must, may, words, is_one: views.len() == 1, views }
    }

    pub fn is_of(&self, user: &str) -> (bool, bool) {
        let of = |view: &Option<Arc<Life>>| {
            view.as_ref().is_some_and(|life| life.user.as_deref() == Some(user))
        };
        (self.views.iter().all(of), self.views.iter().any(of))
    }
}

/// Holds a context against the promises P1, P2, P3, P5 and P10.
pub fn judge(
    model: &Model,
    of: u8,
    since: Since,
    request: &BuildRequest,
    built: &Built,
) -> Result<(), String> {
    counted(request, built)?;
    let named = request.target.session.as_ref().map(|id| (of, id.to_string()));
    let mut allowed = BTreeSet::new();
    let mut all = BTreeMap::new();
    // Whose sessions may be shown, and whether that is the same at all moments.
    let own = named.as_ref().map(|own| model.views(own, since)).unwrap_or_default();
    let whole = own.iter().all(Option::is_some);
    let users: BTreeSet<String> = match &request.target.user {
        Some(user) => BTreeSet::from([user.to_string()]),
        None => own.iter().flatten().filter_map(|life| life.user.clone()).collect(),
    };
    let whole = whole && own.iter().flatten().all(|life| life.user.is_some() || users.is_empty());
    for name in model.names().into_iter().filter(|name| name.0 == of) {
        let seen = Seen::of(model, &name, since);
        let place = built.sessions.iter().position(|id| *id.as_str() == *name.1);
        let is_own = named.as_ref() == Some(&name);
        let (all_of, some_of) = match request.target.scope {
            Scope::Session => (false, false),
            Scope::User => {
                let of: Vec<(bool, bool)> = users.iter().map(|user| seen.is_of(user)).collect();
                (of.len() == 1 && of[0].0, of.iter().any(|(_, some)| *some))
            }
        };
        let must = all_of && whole && !built.degraded.contains(&Degraded::Retrieval);
        let may = is_own || some_of;
        match place {
            None if must && !seen.must.is_empty() => {
                return Err(format!("{name:?} of the user is not in the context"));
            }
            Some(_) if !may => return Err(format!("{name:?} is in the context: {:?}", seen.views)),
            Some(place) => {
                allowed.extend(seen.words.iter().copied());
                all.insert(place, seen);
            }
            None => {}
        }
    }
    let said =
        words(format!("{:?}{}", built.context.messages, built.context.payload_json).as_bytes());
    if let Some(stray) = said.difference(&allowed).next() {
        return Err(format!("the context says {stray:?}, which is no longer there"));
    }
    if let Some(own) = &named {
        fresh(model, own, since, built)?;
    }
    all.iter().try_for_each(|(place, seen)| accounts(*place, seen, &built.context))
}

/// The copy is of a moment of the call, with what was pinned then.
fn fresh(model: &Model, own: &Name, since: Since, built: &Built) -> Result<(), String> {
    let views = model.views(own, since);
    let change = built.session_change.0;
    let at = |view: &Option<Arc<Life>>| view.as_ref().map_or(0, |life| life.change) == change;
    let Some(view) = views.iter().find(|view| at(view)) else {
        return Err(format!("the context is of change {change} of {own:?}: {views:?}"));
    };
    let pinned = view.iter().find_map(|life| Some(pinned(own.0, life.pinned?)));
    let sent = format!("{:?}", built.context.messages);
    match pinned {
        Some(text) if views.len() == 1 && !sent.contains(&text) => {
            Err(format!("the context does not say `{text}`"))
        }
        _ => Ok(()),
    }
}

fn counted(request: &BuildRequest, built: &Built) -> Result<(), String> {
    let context = &built.context;
    let counter = Counter::new(&built.model);
    let again = match request.format {
        Format::Neutral => counter.neutral(&context.messages),
        Format::OpenAiChat => counter.openai(&context.payload_json),
        Format::AnthropicMessages => counter.anthropic(&context.payload_json),
    };
    let used = u64::from(context.used_tokens);
    let budget = u64::from(built.budget_tokens);
    if again > used || used + u64::from(request.reserve_tokens) > budget {
        return Err(format!("counted {again}, told {used}, of a budget of {budget}"));
    }
    Ok(())
}

/// Shown and listed are the living turns of a session, none twice.
fn accounts(place: usize, seen: &Seen, context: &Context) -> Result<(), String> {
    let (mut said, mut told, mut listed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let within = |first: Seq, last: Seq| {
        seen.may.range(first.0..=last.0.max(first.0)).copied().collect::<Vec<u64>>()
    };
    for section in &context.sections {
        for item in section.items.iter().filter(|item| item.source == Some(place)) {
            let in_summary = section.kind == SectionKind::Summary;
            if !in_summary && item.first_seq.0 > 0 && !seen.may.contains(&item.first_seq.0) {
                return Err(format!("{item:?} shows a turn that is gone: {:?}", seen.views));
            }
            let shown = if in_summary { &mut told } else { &mut said };
            for seq in within(item.first_seq, item.last_seq) {
                if !shown.insert(seq) && seen.must.contains(&seq) {
                    return Err(format!("turn {seq} is shown twice"));
                }
            }
        }
    }
    for range in context.not_shown.iter().filter(|range| range.source == place) {
        let inside = within(range.first_seq, range.last_seq);
        if seen.is_one && inside.len() as u64 != range.turns {
            return Err(format!("{range:?} does not hold {inside:?}"));
        }
        for seq in inside {
            if !listed.insert(seq) && seen.must.contains(&seq) {
                return Err(format!("turn {seq} is listed twice"));
            }
        }
    }
    for seq in &seen.must {
        let shown = said.contains(seq) || told.contains(seq);
        if shown == listed.contains(seq) {
            return Err(format!(
                "turn {seq} is shown: {shown}, and listed so too: {:?}",
                seen.views
            ));
        }
    }
    Ok(())
}
