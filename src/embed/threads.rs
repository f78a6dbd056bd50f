//! Threads that embed texts: those for turns, and one for questions. What waits goes through a
//! model in batches, whoever asked, where the model gains by it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use crate::embed::{EmbedError, Urgency};

/// How many questions wait at the most: at 4 ms each the last one waits a quarter of a second.
pub const QUERIES_MAX: usize = 64;
/// How many texts of turns wait at the most: some commits' worth, a few megabytes.
pub const BACKGROUND_MAX: usize = 1_024;

/// What became of one text.
type Made = Result<Vec<f32>, EmbedError>;
/// What became of a batch: a vector for each text, in their order, or why there are none.
pub(super) type Batched = Result<Vec<Vec<f32>>, EmbedError>;

/// What goes through a model at once, at the most; one text always does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    /// How many texts.
    pub(super) texts: usize,
    /// How many bytes, all texts counted as long as the longest: so they are computed.
    pub(super) bytes: usize,
}

impl Batch {
    /// One text after the other.
    pub(super) const ONE: Self = Self { texts: 1, bytes: 0 };

    fn takes(self, texts: usize, longest: usize) -> bool {
        texts <= self.texts && texts * longest <= self.bytes
    }
}

/// One text that waits, and where its vector goes.
struct Waiting {
    text: String,
    answer: oneshot::Sender<Made>,
}

#[derive(Default)]
struct Queues {
    queries: VecDeque<Waiting>,
    background: VecDeque<Waiting>,
    stopped: bool,
}

#[derive(Default)]
struct Shared {
    queues: Mutex<Queues>,
    query: Condvar,
    background: Condvar,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().expect("no holder panics")
    }
}

/// The threads. Dropping this waits until they have ended, which they do after what is going
/// through a model: none is left in a library that goes with the process.
pub(super) struct Threads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts `background` threads for turns and one for questions; `make` gives each its means,
    /// which take a batch. A question goes alone.
    pub(super) fn start<E>(
        background: usize,
        batch: Batch,
        mut make: impl FnMut(Urgency) -> E,
    ) -> Result<Self, EmbedError>
    where
        E: FnMut(&[String]) -> Batched + Send + 'static,
    {
        let mut threads = Self { shared: Arc::new(Shared::default()), threads: Vec::new() };
        let turns = (0..background).map(|_| Urgency::Background);
        for urgency in turns.chain([Urgency::Query]) {
            let (shared, mut embed) = (threads.shared.clone(), make(urgency));
            let name = format!("embed-{urgency:?}").to_lowercase();
            let started = thread::Builder::new().name(name).spawn(move || {
                if urgency == Urgency::Background {
                    give_way();
                }
                run(&shared, urgency, batch, &mut embed);
            });
            let started = started.map_err(|error| EmbedError::Model { why: error.to_string() });
            threads.threads.push(started?);
        }
        Ok(threads)
    }

    /// Gives the vectors of all texts, in order.
    pub(super) async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        let mut texts = texts.into_iter();
        loop {
            // As many as the queue takes at once: a call may bring more.
            let part: Vec<String> = texts.by_ref().take(QUERIES_MAX / 4).collect();
            if part.is_empty() {
                return Ok(vectors);
            }
            for answer in self.push(urgency, part)? {
                vectors.push(answer.await.map_err(|_| EmbedError::Stopped)??);
            }
        }
    }

    fn push(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<oneshot::Receiver<Made>>, EmbedError> {
        let mut queues = self.shared.queues();
        if queues.stopped {
            return Err(EmbedError::Stopped);
        }
        let (queue, most, wake) = match urgency {
            Urgency::Query => (&mut queues.queries, QUERIES_MAX, &self.shared.query),
            Urgency::Background => {
                (&mut queues.background, BACKGROUND_MAX, &self.shared.background)
            }
        };
        // Those whose callers went away take no room.
        queue.retain(|waiting| !waiting.answer.is_closed());
        if queue.len() + texts.len() > most {
            return Err(EmbedError::Busy);
        }
        let mut answers = Vec::with_capacity(texts.len());
        for text in texts {
            let (answer, receiver) = oneshot::channel();
            queue.push_back(Waiting { text, answer });
            answers.push(receiver);
        }
        wake.notify_all();
        Ok(answers)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        {
            let mut queues = self.shared.queues();
            queues.stopped = true;
            queues.queries.clear();
            queues.background.clear();
        }
        self.shared.query.notify_all();
        self.shared.background.notify_all();
        for thread in self.threads.drain(..) {
            // What it panicked with was told to whoever waited.
            let _ = thread.join();
        }
    }
}

/// Lets everything else on the machine go first: a thread with this niceness gets a tenth of a core
/// that others want too, and all of one that nobody wants.
pub(super) fn give_way() {
    const NICENESS: i32 = 10;
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), NICENESS) {
        tracing::warn!("embedding of turns does not give way to calls: {error}");
    }
}

/// Embeds what waits, until the stop.
fn run(
    shared: &Shared,
    urgency: Urgency,
    batch: Batch,
    embed: &mut dyn FnMut(&[String]) -> Batched,
) {
    while let Some(waiting) = next(shared, urgency, batch) {
        let (texts, answers): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|waiting| (waiting.text, waiting.answer)).unzip();
        for (answer, made) in answers.into_iter().zip(made(&texts, embed)) {
            // The caller may have gone away.
            let _ = answer.send(made);
        }
    }
}

/// What became of each text. Where a batch fails, each goes alone, so that one fails for itself.
fn made(texts: &[String], embed: &mut dyn FnMut(&[String]) -> Batched) -> Vec<Made> {
    let failed = |why: &str| EmbedError::Failed { why: why.to_owned() };
    // A panic of the model is the failure of these texts, not the end of the thread.
    let error = match catch_unwind(AssertUnwindSafe(|| embed(texts))) {
        Ok(Ok(vectors)) if vectors.len() == texts.len() => {
            return vectors.into_iter().map(Ok).collect();
        }
        Ok(Ok(_)) => failed("the model left texts out"),
        Ok(Err(error)) => error,
        Err(_) => failed("the model panicked"),
    };
    match texts {
        [_] => vec![Err(error)],
        _ => texts.chunks(1).flat_map(|text| made(text, embed)).collect(),
    }
}

/// What is to be embedded next: from the front of the queue what a batch takes, without what nobody
/// waits for any more. Never empty.
fn next(shared: &Shared, urgency: Urgency, batch: Batch) -> Option<Vec<Waiting>> {
    let mut queues = shared.queues();
    loop {
        if queues.stopped {
            return None;
        }
        let (queue, wake, batch) = match urgency {
            Urgency::Query => (&mut queues.queries, &shared.query, Batch::ONE),
            Urgency::Background => (&mut queues.background, &shared.background, batch),
        };
        let (mut taken, mut longest) = (Vec::new(), 0);
        while let Some(waiting) = queue.front() {
            longest = longest.max(waiting.text.len());
            if !taken.is_empty() && !batch.takes(taken.len() + 1, longest) {
                break;
            }
            let waiting = queue.pop_front().filter(|waiting| !waiting.answer.is_closed());
            taken.extend(waiting);
        }
        if !taken.is_empty() {
            return Some(taken);
        }
        queues = wake.wait(queues).expect("no holder panics");
    }
}

#[cfg(test)]
mod tests;
