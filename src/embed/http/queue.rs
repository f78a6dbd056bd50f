//! Texts that wait to be sent, of all callers: questions, and what nobody waits for.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::embed::{EmbedError, Urgency};

/// How many questions wait at the most: callers give up before more are sent.
pub const QUERIES_MAX: usize = 64;
/// How many texts of turns wait at the most: some requests' worth, a few megabytes.
pub const BACKGROUND_MAX: usize = 1_024;
/// The most bytes of texts in one request, while there is more than one: what providers take.
const REQUEST_BYTES_MAX: usize = 256 << 10;

/// What a caller gets for a text: its vector, and what of the request's tokens it is taken for.
pub(super) type Made = Result<(Vec<f32>, u64), EmbedError>;

/// Where the vector of a text goes.
pub(super) type Answer = oneshot::Sender<Made>;

/// Some texts that are sent together; all are as urgent.
pub(super) struct Batch {
    pub urgency: Urgency,
    pub texts: Vec<String>,
    /// One for each text.
    pub answers: Vec<Answer>,
}

/// Waits until nobody waits for any of them.
pub(super) async fn all_gone(answers: &mut [Answer]) {
    for answer in answers {
        answer.closed().await;
    }
}

impl Batch {
    fn new(urgency: Urgency, waiting: Vec<Waiting>) -> Self {
        let (texts, answers) = waiting.into_iter().unzip();
        Self { urgency, texts, answers }
    }

    /// Leaves out those whose callers have gone. `false`: nobody waits any more.
    pub(super) fn is_waited_for(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.texts).into_iter().zip(self.answers.drain(..));
        let waiting = waiting.filter(|(_, answer)| !answer.is_closed()).collect();
        *self = Self::new(self.urgency, waiting);
        !self.texts.is_empty()
    }

    /// Takes the texts from `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let (texts, answers) = (self.texts.split_off(at), self.answers.split_off(at));
        Self { urgency: self.urgency, texts, answers }
    }

    /// Tells all who wait that there is no vector.
    pub(super) fn fail(self, error: &EmbedError) {
        for answer in self.answers {
            // The caller may have gone.
            let _ = answer.send(Err(error.clone()));
        }
    }

    /// Gives all their vectors. Tokens are divided by the bytes of the texts, to the last one.
    pub(super) fn answer(self, vectors: Vec<Vec<f32>>, tokens: u64) {
        let mut bytes: u64 = self.texts.iter().map(|text| text.len() as u64).sum();
        let mut left = tokens;
        for ((text, answer), vector) in self.texts.iter().zip(self.answers).zip(vectors) {
            let own = text.len() as u64;
            let share = u128::from(left) * u128::from(own) / u128::from(bytes.max(1));
            let share = u64::try_from(share).unwrap_or(left);
            (bytes, left) = (bytes - own, left - share);
            let _ = answer.send(Ok((vector, share)));
        }
    }
}

/// A text that waits.
type Waiting = (String, Answer);

#[derive(Default)]
struct Texts {
    queries: VecDeque<Waiting>,
    background: VecDeque<Waiting>,
}

/// All texts that wait.
#[derive(Default)]
pub(super) struct Queue {
    texts: Mutex<Texts>,
}

impl Queue {
    fn texts(&self) -> MutexGuard<'_, Texts> {
        // Nothing under the lock can panic halfway.
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets texts wait; gives where their vectors come.
    ///
    /// # Errors
    /// [`EmbedError::Busy`] when too many wait.
    pub(super) fn push(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<oneshot::Receiver<Made>>, EmbedError> {
        let mut waiting = self.texts();
        let (queue, most) = match urgency {
            Urgency::Query => (&mut waiting.queries, QUERIES_MAX),
            Urgency::Background => (&mut waiting.background, BACKGROUND_MAX),
        };
        // Those whose callers went away take no room.
        queue.retain(|(_, answer)| !answer.is_closed());
        if queue.len() + texts.len() > most {
            return Err(EmbedError::Busy);
        }
        let mut answers = Vec::with_capacity(texts.len());
        for text in texts {
            let (answer, receiver) = oneshot::channel();
            queue.push_back((text, answer));
            answers.push(receiver);
        }
        Ok(answers)
    }

    /// The next texts to send, `most` at the most: questions, when some wait; else, unless only
    /// questions are wanted, others. `None`: nobody waits.
    pub(super) fn take(&self, most: usize, only_queries: bool) -> Option<Batch> {
        let mut waiting = self.texts();
        let queries = first(&mut waiting.queries, most);
        if !queries.is_empty() {
            return Some(Batch::new(Urgency::Query, queries));
        }
        if only_queries {
            return None;
        }
        let texts = first(&mut waiting.background, most);
        (!texts.is_empty()).then(|| Batch::new(Urgency::Background, texts))
    }

    /// Forgets all: whoever waits hears that the embedder has ended.
    pub(super) fn clear(&self) {
        let mut waiting = self.texts();
        waiting.queries.clear();
        waiting.background.clear();
    }
}

fn first(queue: &mut VecDeque<Waiting>, most: usize) -> Vec<Waiting> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while let Some(waiting) = queue.pop_front() {
        if waiting.1.is_closed() {
            continue;
        }
        bytes += waiting.0.len();
        if taken.len() == most || !taken.is_empty() && bytes > REQUEST_BYTES_MAX {
            queue.push_front(waiting);
            break;
        }
        taken.push(waiting);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::{BACKGROUND_MAX, EmbedError, QUERIES_MAX, Queue, REQUEST_BYTES_MAX, Urgency};

    fn texts(of: &str, count: usize) -> Vec<String> {
        (0..count).map(|n| format!("{of}{n}")).collect()
    }

    fn taken(queue: &Queue, most: usize, only_queries: bool) -> String {
        let batch = queue.take(most, only_queries);
        let texts = batch.into_iter().flat_map(|batch| batch.texts);
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn questions_go_first_and_alone() {
        let queue = Queue::default();
        let _turns = queue.push(Urgency::Background, texts("t", 3)).unwrap();
        let _asked = queue.push(Urgency::Query, texts("q", 2)).unwrap();
        assert_eq!(taken(&queue, 8, false), "q0 q1");
        assert_eq!(taken(&queue, 8, true), "", "that place is for questions");
        assert_eq!(taken(&queue, 2, false), "t0 t1");
        assert_eq!(taken(&queue, 2, false), "t2");
    }

    #[test]
    fn texts_of_many_callers_are_one_request_up_to_a_size() {
        let queue = Queue::default();
        let large = "x".repeat(REQUEST_BYTES_MAX / 2);
        let calls = ["a", &large, &large, "b"]
            .map(|text| queue.push(Urgency::Background, vec![text.to_owned()]).unwrap());
        assert_eq!(taken(&queue, 8, false), format!("a {large}"));
        assert_eq!(taken(&queue, 8, false).len(), large.len() + 2);
        drop(calls);
    }

    #[test]
    fn what_nobody_waits_for_is_not_sent_and_takes_no_room() {
        let queue = Queue::default();
        drop(queue.push(Urgency::Query, texts("gone", QUERIES_MAX)).unwrap());
        let _asked = queue.push(Urgency::Query, texts("q", 1)).unwrap();
        assert_eq!(taken(&queue, QUERIES_MAX, false), "q0");
    }

    #[test]
    fn too_many_are_refused_and_a_full_queue_of_turns_is_none_of_questions() {
        let queue = Queue::default();
        let _turns = queue.push(Urgency::Background, texts("t", BACKGROUND_MAX)).unwrap();
        let more = queue.push(Urgency::Background, texts("t", 1));
        assert!(matches!(more, Err(EmbedError::Busy)));
        assert!(queue.push(Urgency::Query, texts("q", QUERIES_MAX)).is_ok());
    }

    #[tokio::test]
    async fn tokens_are_divided_by_length_and_none_is_lost() {
        let queue = Queue::default();
        let lengths = [1, 9, 0, 30];
        let texts = lengths.map(|length| "x".repeat(length)).to_vec();
        let answers = queue.push(Urgency::Query, texts).unwrap();
        queue.take(8, false).unwrap().answer(vec![vec![1.0]; 4], 7);
        let mut tokens = Vec::new();
        for answer in answers {
            tokens.push(answer.await.unwrap().unwrap().1);
        }
        assert_eq!(tokens.iter().sum::<u64>(), 7);
        assert!(tokens[3] == 6 || tokens[3] == 5, "{tokens:?}");
    }
}
