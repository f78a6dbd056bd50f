//! What goes through a model together, and what fails with what.

use std::sync::{Arc, Mutex, mpsc};

use tokio::sync::oneshot;

use crate::embed::{
    EmbedError, Urgency,
    threads::{Batch, Batched, Made, Threads},
};

/// Threads whose model notes what it is given, and begins each batch when it is told to. A text
/// with `bad` in it fails all that it goes with; one with `panic` panics.
struct Rig {
    // It goes first: a model that waits for it fails then, and the threads end.
    go: mpsc::Sender<()>,
    threads: Threads,
    given: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Rig {
    fn new(batch: Batch) -> Self {
        let given = Arc::new(Mutex::new(Vec::new()));
        let (go, told) = mpsc::channel();
        let told = Arc::new(Mutex::new(told));
        let seen = given.clone();
        let threads = Threads::start(1, batch, |_| {
            let (seen, told) = (seen.clone(), told.clone());
            move |texts: &[String]| -> Batched {
                seen.lock().unwrap().push(texts.to_vec());
                told.lock().unwrap().recv().unwrap();
                assert!(!texts.iter().any(|text| text.contains("panic")));
                match texts.iter().any(|text| text.contains("bad")) {
                    true => Err(EmbedError::Failed { why: "as it was told".to_owned() }),
                    false => Ok(texts.iter().map(|text| vec![text.len() as f32]).collect()),
                }
            }
        });
        Self { threads: threads.unwrap(), go, given }
    }

    fn ask(&self, urgency: Urgency, text: &str) -> oneshot::Receiver<Made> {
        self.threads.push(urgency, vec![text.to_owned()]).unwrap().remove(0)
    }

    /// Waits until the model has been given so many batches.
    fn wait_for(&self, batches: usize) {
        while self.given.lock().unwrap().len() < batches {
            std::thread::yield_now();
        }
    }

    fn sizes(&self) -> Vec<usize> {
        self.given.lock().unwrap().iter().map(Vec::len).collect()
    }
}

#[test]
fn turns_of_many_callers_that_wait_go_through_the_model_together() {
    let rig = Rig::new(Batch { texts: 3, bytes: 1_000 });
    let mut answers = vec![rig.ask(Urgency::Background, "first")];
    rig.wait_for(1);
    let rest = ["a", "bb", "ccc", "dddd"].map(|text| rig.ask(Urgency::Background, text));
    answers.extend(rest);
    for _ in 0..3 {
        rig.go.send(()).unwrap();
    }
    let made: Vec<f32> =
        answers.into_iter().map(|answer| answer.blocking_recv().unwrap().unwrap()[0]).collect();
    assert_eq!(made, [5.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(rig.sizes(), [1, 3, 1]);
}

#[test]
fn a_batch_ends_where_its_padding_would_be_too_much() {
    let rig = Rig::new(Batch { texts: 10, bytes: 30 });
    let first = rig.ask(Urgency::Background, "first");
    rig.wait_for(1);
    // Two of 10 fit; with one of 12 three would be 36.
    let texts = ["a".repeat(10), "b".repeat(10), "c".repeat(12), "d".repeat(100)];
    let rest = texts.map(|text| rig.ask(Urgency::Background, &text));
    for _ in 0..4 {
        rig.go.send(()).unwrap();
    }
    for answer in [first].into_iter().chain(rest) {
        answer.blocking_recv().unwrap().unwrap();
    }
    assert_eq!(rig.sizes(), [1, 2, 1, 1]);
}

#[test]
fn a_text_that_fails_fails_alone() {
    for word in ["bad", "panic"] {
        let rig = Rig::new(Batch { texts: 10, bytes: 1_000 });
        let first = rig.ask(Urgency::Background, "first");
        rig.wait_for(1);
        let rest = ["one", word, "three"].map(|text| rig.ask(Urgency::Background, text));
        for _ in 0..5 {
            rig.go.send(()).unwrap();
        }
        assert!(first.blocking_recv().unwrap().is_ok());
        let rest = rest.map(|answer| answer.blocking_recv().unwrap().is_ok());
        assert_eq!(rest, [true, false, true], "{word}");
        assert_eq!(rig.sizes(), [1, 3, 1, 1, 1]);
    }
}

#[test]
fn questions_go_alone_and_what_nobody_waits_for_is_left_out() {
    let rig = Rig::new(Batch { texts: 10, bytes: 1_000 });
    let first = rig.ask(Urgency::Query, "first");
    rig.wait_for(1);
    drop(rig.ask(Urgency::Query, "gone"));
    let rest = ["two", "three"].map(|text| rig.ask(Urgency::Query, text));
    for _ in 0..3 {
        rig.go.send(()).unwrap();
    }
    for answer in [first].into_iter().chain(rest) {
        answer.blocking_recv().unwrap().unwrap();
    }
    assert_eq!(*rig.given.lock().unwrap(), [["first"], ["two"], ["three"]]);
}
