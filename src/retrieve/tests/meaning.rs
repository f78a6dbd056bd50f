//! Retrieval by words and meaning together.

use super::{IDLE, ask_sources, assistant_chat, no_signal, persons_chat, request, session};
use crate::retrieve::{
    Decision, Hit, Mode, NoSignal, Query, Ranking, Request, SessionIndex, Source, TurnVectors, rank,
};
use crate::types::Seq;

/// Words that mean the same in these tests, a group a line.
const ALIKE: &str = "greyhound dog canine pet
    bakery bread bake bakes rye baker
    rent landlord lodging
    cello music instrument";

/// A vector of a text: each of its words gives a direction, and words alike give the same one.
fn meaning(text: &str) -> Vec<f32> {
    let mut sum = vec![0.0; 64];
    for word in crate::retrieve::query::surface_words(text) {
        let group = ALIKE.lines().position(|line| line.split_whitespace().any(|w| w == word));
        let word = group.map_or(word, |group| group.to_string());
        for (number, byte) in sum.iter_mut().zip(blake3::hash(word.as_bytes()).to_hex().bytes()) {
            *number += f32::from(byte) - 75.0;
        }
    }
    sum
}

/// Gives the turns of a session their vectors: line by line, as many as there are.
fn embedded(mut index: SessionIndex, texts: &[&str]) -> SessionIndex {
    for (seq, text) in (1..).zip(texts) {
        let vectors: Vec<Vec<f32>> =
            crate::retrieve::pieces::pieces_of(text).iter().map(|text| meaning(text)).collect();
        assert!(index.set_vectors(Seq(seq), &TurnVectors::quantise(&vectors)));
    }
    index
}

/// The persons' chat with vectors of the turns that the questions here are about; the others are
/// small talk.
fn persons() -> SessionIndex {
    let mut texts = vec!["hello there"; 22];
    (texts[1], texts[3], texts[4]) = ("bakery", "bread", "greyhound");
    embedded(persons_chat(), &texts)
}

fn ask_by<'a>(sources: &'a [Source<'a>], text: &'a str, mode: Mode) -> Ranking {
    let vector = meaning(text);
    let query = Query { text, ..Query::default() };
    rank(&Request { mode, vector: Some(&vector), ..request(sources, query) })
}

fn whole(index: &SessionIndex) -> [Source<'_>; 1] {
    [Source { index, horizon: None, words_from: None }]
}

fn seqs(ranking: &Ranking) -> Vec<u64> {
    ranking.hits.iter().map(|hit| hit.seq.0).collect()
}

fn signal(hit: &Hit, name: &str) -> Option<(f64, f64)> {
    let found = hit.signals.iter().find(|signal| signal.name == name);
    found.map(|signal| (signal.raw, signal.standardised))
}

#[test]
fn a_question_in_other_words_finds_its_turn() {
    let chat = persons();
    let by_words = ask_sources(&whole(&chat), Query { text: "canine", ..Query::default() });
    assert_eq!(by_words, no_signal(NoSignal::NothingKnown));
    assert_eq!(seqs(&ask_by(&whole(&chat), "canine", Mode::Hybrid))[0], 5);
    assert_eq!(ask_by(&whole(&chat), "quasar", Mode::Hybrid), no_signal(NoSignal::NothingKnown));
}

#[test]
fn what_is_like_enough_without_a_common_word_depends_on_how_much_there_is() {
    // Two texts at a cosine of 0.4, which stands out of few turns and not out of many.
    let vectors = |alike: f32| {
        let mut vector = vec![0.0; 384];
        (vector[0], vector[1]) = (alike, (1.0 - alike * alike).sqrt());
        vector
    };
    let decided = |turns: usize| {
        let mut index = session(&"Ann: I planted the pear tree.\n".repeat(turns));
        for seq in 1..=turns as u64 {
            assert!(index.set_vectors(Seq(seq), &TurnVectors::quantise(&[vectors(0.4)])));
        }
        let query = Query { text: "orchard", ..Query::default() };
        let vector = vectors(1.0);
        let sources = whole(&index);
        let request = Request { vector: Some(&vector), ..request(&sources, query) };
        rank(&request).decision
    };
    assert_eq!(decided(10), Decision::Retrieved);
    assert_eq!(decided(500), Decision::NoSignal(NoSignal::NothingKnown));
}

#[test]
fn acknowledgements_retrieve_nothing_however_alike_a_turn_is() {
    for chat in [assistant_chat(), persons_chat()] {
        let loud = IDLE.iter().filter(|text| {
            let turns = vec![**text; chat.len()];
            // Emoji and marks have no words, so that these tests have no vector for them.
            let spoken = !crate::retrieve::query::surface_words(text).is_empty();
            let index = if spoken { embedded(chat.clone(), &turns) } else { chat.clone() };
            ask_by(&whole(&index), text, Mode::Hybrid).decision == Decision::Retrieved
        });
        let loud: Vec<_> = loud.collect();
        assert!(loud.len() <= 5, "{} of 100 retrieve: {loud:?}", loud.len());
    }
}

#[test]
fn without_vectors_the_answer_is_that_of_words() {
    let (bare, chat) = (persons_chat(), persons());
    let query = Query { text: "Who owns a greyhound?", ..Query::default() };
    let by_words = ask_sources(&whole(&bare), query);
    assert_eq!(ask_by(&whole(&bare), query.text, Mode::Hybrid), by_words);
    assert_eq!(ask_by(&whole(&bare), query.text, Mode::Vectors), by_words);
    assert_eq!(ask_by(&whole(&chat), query.text, Mode::Words), by_words);
    let sources = whole(&chat);
    let other_size = Request { vector: Some(&[1.0, 2.0]), ..request(&sources, query) };
    assert_eq!(rank(&other_size), by_words);
    assert_ne!(ask_by(&whole(&chat), query.text, Mode::Hybrid), by_words);
}

#[test]
fn vectors_alone_rank_by_nothing_else() {
    let chat = persons();
    let found = ask_by(&whole(&chat), "What pet does Amir own?", Mode::Vectors);
    assert_eq!(seqs(&found)[0], 5);
    let names: Vec<_> = found.hits[0].signals.iter().map(|signal| signal.name).collect();
    assert_eq!(names, ["cosine_turn", "cosine_piece", "cosine_vicinity"]);
}

#[test]
fn a_turn_that_waits_for_its_vectors_counts_as_one_at_the_mean() {
    let mut texts = vec!["hello there"; 20];
    (texts[1], texts[3], texts[4]) = ("bakery", "bread", "greyhound");
    let chat = embedded(persons_chat(), &texts);
    let found = ask_by(&whole(&chat), "Which bread do you promise?", Mode::Hybrid);
    let waiting = found.hits.iter().find(|hit| hit.seq == Seq(21)).expect("its words are found");
    assert_eq!(signal(waiting, "cosine_turn"), Some((0.0, 0.0)));
    assert_eq!(signal(waiting, "cosine_piece"), Some((0.0, 0.0)));
}

#[test]
fn the_best_piece_of_a_turn_counts() {
    let text = "The weather was mild and dry. My dog ate the whole cake.";
    let chat = embedded(session(&format!("U: {text}\nA: I see, poor cake.")), &[text]);
    let found = ask_by(&whole(&chat), "My dog ate the whole cake", Mode::Hybrid);
    let value = |name| signal(&found.hits[0], name).expect("it has weight").0;
    assert!((value("cosine_piece") - 1.0).abs() < 0.02);
    assert!(value("cosine_turn") < 0.95);
}

#[test]
fn the_vicinity_of_a_turn_ends_at_its_session() {
    let lines = "U: hello there friend\n".repeat(8);
    let far = embedded(session(&lines), &["greyhound"; 8]);
    let near = embedded(session(&lines), &["quasar"; 8]);
    let sources = [whole(&far)[0], whole(&near)[0]];
    let found = ask_by(&sources, "greyhound friend", Mode::Hybrid);
    for hit in &found.hits {
        let (piece, _) = signal(hit, "cosine_piece").expect("it has weight");
        let (vicinity, _) = signal(hit, "cosine_vicinity").expect("it has weight");
        assert!((piece - vicinity).abs() < 1e-6, "{piece} {vicinity}");
    }
}

#[test]
fn vectors_at_or_above_the_horizon_change_nothing() {
    let chat = persons();
    let below = [Source { index: &chat, horizon: Some(Seq(20)), words_from: None }];
    let before = ask_by(&below, "Who owns a canine?", Mode::Hybrid);
    let mut grown = chat.clone();
    for seq in 20..=22 {
        let vectors = vec![meaning("canine"), meaning("Who owns a canine?")];
        assert!(grown.set_vectors(Seq(seq), &TurnVectors::quantise(&vectors)));
    }
    let below = [Source { index: &grown, horizon: Some(Seq(20)), words_from: None }];
    assert_eq!(ask_by(&below, "Who owns a canine?", Mode::Hybrid), before);
    assert_ne!(ask_by(&whole(&grown), "Who owns a canine?", Mode::Hybrid), before);
}

#[test]
fn the_same_question_has_the_same_answer_whenever_the_vectors_came() {
    let chat = persons();
    let mut late = persons_chat();
    let mut texts = vec!["hello there"; 22];
    (texts[1], texts[3], texts[4]) = ("bakery", "bread", "greyhound");
    for (seq, text) in (1..).zip(&texts).collect::<Vec<_>>().into_iter().rev() {
        late.set_vectors(Seq(seq), &TurnVectors::quantise(&[meaning(text)]));
    }
    let text = "What does Amir bake for the pet?";
    let found = ask_by(&whole(&chat), text, Mode::Hybrid);
    assert_eq!(found, ask_by(&whole(&chat), text, Mode::Hybrid));
    assert_eq!(found, ask_by(&whole(&late), text, Mode::Hybrid));
}

#[test]
fn signals_come_only_when_they_are_asked_for() {
    let chat = persons();
    let (vector, text) = (meaning("canine"), "canine");
    let query = Query { text, ..Query::default() };
    let (sources, vector) = (whole(&chat), Some(vector.as_slice()));
    let explained = rank(&Request { vector, ..request(&sources, query) });
    let bare = rank(&Request { vector, explain: false, ..request(&sources, query) });
    assert!(explained.hits.iter().all(|hit| !hit.signals.is_empty()));
    assert!(bare.hits.iter().all(|hit| hit.signals.is_empty()));
    let plain = |ranking: &Ranking| {
        ranking.hits.iter().map(|hit| (hit.seq, hit.score.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(plain(&explained), plain(&bare));
}

#[test]
fn a_long_turn_shows_the_passage_that_is_alike() {
    let filler = "The weather was mild and the road was long. ".repeat(60);
    let text = format!("{filler}A greyhound ran along. {filler}");
    let chat = embedded(session(&format!("U: {text}\nA: ok")), &[&text]);
    let found = ask_by(&whole(&chat), "canine", Mode::Hybrid);
    let found = if found.hits.is_empty() {
        // The passage has many words: the question is answered when one of them is known.
        let apart = embedded(session("U: canine"), &[]);
        let sources = [whole(&chat)[0], whole(&apart)[0]];
        ask_by(&sources, "canine", Mode::Hybrid).hits
    } else {
        found.hits
    };
    let hit = found.iter().find(|hit| hit.passage.is_some()).expect("a long turn has passages");
    let passage = hit.passage.clone().expect("it was looked for");
    assert!(text[passage.clone()].contains("greyhound"), "{passage:?}");
}
