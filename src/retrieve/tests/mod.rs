//! What retrieval over conversations promises.

use crate::retrieve::{
    Decision, Indexed, Mode, NoSignal, Query, Ranking, Request, SessionIndex, Source, Weights,
    rank, terms::analyse_text,
};
use crate::types::{Role, Seq, Timestamp};

mod analysis;
mod embedded;
mod identifiers;
mod idle;
mod languages;
mod meaning;
mod postings;
mod ranking;
mod reranked;
mod signals;
mod spans;
mod vectors;

use idle::IDLE;

/// Builds a session of lines `speaker: text`; `U` is a nameless user, `A` a nameless assistant.
/// The turns are a day apart.
fn session(lines: &str) -> SessionIndex {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut index = SessionIndex::default();
    let mut first = "";
    for (line, seq) in lines.zip(1u64..) {
        let (speaker, text) = line.split_once(": ").expect("a line is `speaker: text`");
        if first.is_empty() {
            first = speaker;
        }
        let nameless = speaker == "U" || speaker == "A";
        let user = if nameless { speaker == "U" } else { speaker == first };
        index.push(Indexed {
            seq: Seq(seq),
            role: if user { Role::User } else { Role::Assistant },
            speaker: if nameless { "" } else { speaker },
            created_at: Timestamp(1_700_000_000_000 + seq.cast_signed() * 86_400_000),
            terms: &analyse_text(text, None),
        });
    }
    index
}

fn ask(sessions: &[&SessionIndex], text: &str) -> Ranking {
    let sources: Vec<Source<'_>> =
        sessions.iter().map(|index| Source { index, horizon: None, words_from: None }).collect();
    ask_sources(&sources, Query { text, ..Query::default() })
}

/// Checks that of some turns (one a line) the one that begins with `>` is found first. Each is a
/// session of its own: the neighbours of a turn count too, and are not what is asked here.
#[track_caller]
fn check_first(question: &str, turns: &str) {
    let lines: Vec<&str> = turns.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let wanted = lines.iter().position(|line| line.starts_with("> "));
    let chats = lines.iter().map(|line| session(&format!("U: {}", line.trim_start_matches("> "))));
    let chats: Vec<SessionIndex> = chats.collect();
    let ranking = ask(&chats.iter().collect::<Vec<_>>(), question);
    let found = ranking.hits.first().map(|hit| hit.source);
    assert_eq!(found, wanted, "{question}: {:?}", ranking.decision);
}

fn ask_sources(sources: &[Source<'_>], query: Query<'_>) -> Ranking {
    rank(&request(sources, query))
}

/// A request by words that explains its ten hits.
fn request<'a>(sources: &'a [Source<'a>], query: Query<'a>) -> Request<'a> {
    Request {
        sources,
        query,
        filter: &|_, _| true,
        hits_max: 10,
        weights: &Weights::DEFAULT,
        mode: Mode::Hybrid,
        vector: None,
        explain: true,
    }
}

fn no_signal(why: NoSignal) -> Ranking {
    Ranking { decision: Decision::NoSignal(why), hits: Vec::new(), spread: 0.0 }
}

/// A chat of a user with an assistant, with small talk in it, of 24 turns.
fn assistant_chat() -> SessionIndex {
    session(
        "U: Hi! I just moved to Lisbon and I need help to plan my week.
        A: Welcome to Lisbon! What would you like to see first?
        U: My sister Ines visits on Friday. She loves tiles and old trams.
        A: Then the tile museum and the tram to the castle are a great idea. Shall I go on?
        U: Yes please. I am allergic to peanuts, so mind that for restaurants.
        A: Understood. I would suggest the seafood place by the river; its kitchen is free of nuts.
        U: Perfect, thanks a lot!
        A: You are welcome. Is there anything else?
        U: My landlord wants the rent by the third of each month. Remind me of it.
        A: Good. I will keep the third of the month in mind.
        U: I also started to learn the cello last week with a teacher named Rui.
        A: How wonderful! How often do you practise?
        U: Twenty minutes a day, before work.
        A: That is a good habit. Short sessions help more than long ones.
        U: Can you explain how a mortgage works?
        A: A mortgage is a loan for a house that the house itself secures. More details?
        U: Yes, continue with an example.
        A: For example, a loan of 200,000 at four percent over thirty years costs 955 a month.
        U: Interesting. My budget is 1,100 a month.
        A: Then this one would fit, with some room for repairs.
        U: Great, thank you. What about dinner tonight?
        A: The grill on the corner has sardines, and no peanuts in the kitchen.
        U: Nice, I will go there.
        A: Enjoy your dinner!",
    )
}

/// A chat of two persons of 22 turns.
fn persons_chat() -> SessionIndex {
    session(
        "Nora: Hey Amir! Long time no see. What have you been up to?
        Amir: I finally opened my bakery in March! It has been wild.
        Nora: Congratulations! What do you bake the most?
        Amir: Rye bread. My grandmother's recipe sells out by nine.
        Nora: I adopted a greyhound last month. He is called Biscuit.
        Amir: Lovely! Is he from the shelter?
        Nora: Yes, from the one by the harbour.
        Amir: I always wanted a dog, but the ovens start at four in the morning.
        Nora: That is early. Do you sleep at all?
        Amir: Barely. My brother Samir helps on weekends.
        Nora: I run with Biscuit along the canal every evening.
        Amir: Did you sign up for the half marathon?
        Nora: I did, it is in October. My knee is better now.
        Amir: What happened to your knee?
        Nora: I fell off my bike in winter.
        Amir: Ouch. I sold my bike to pay for the mixer.
        Nora: You gave up cycling for dough!
        Amir: Worth it. The mixer is from Sweden.
        Nora: I might visit Gothenburg next summer.
        Amir: Bring me back some cardamom buns.
        Nora: I promise.
        Amir: See you on Sunday then.",
    )
}
