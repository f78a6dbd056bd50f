//! Threads that embed texts one by one: those for turns, and one for questions.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use tokio::sync::oneshot;

use crate::embed::{EmbedError, Urgency};

/// How many questions wait at the most: at 4 ms each the last one waits a quarter of a second.
pub const QUERIES_MAX: usize = 64;
/// How many texts of turns wait at the most: some commits' worth, a few megabytes.
pub const BACKGROUND_MAX: usize = 1_024;

type Made = Result<Vec<f32>, EmbedError>;

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

/// The threads. They end once this is dropped.
pub(super) struct Threads {
    shared: Arc<Shared>,
}

impl Threads {
    /// Starts `background` threads for turns and one for questions; `make` gives each its means.
    pub(super) fn start<E>(background: usize, make: impl Fn() -> E) -> Result<Self, EmbedError>
    where
        E: Fn(&str) -> Result<Vec<f32>, EmbedError> + Send + 'static,
    {
        let threads = Self { shared: Arc::new(Shared::default()) };
        let turns = (0..background).map(|_| Urgency::Background);
        for urgency in turns.chain([Urgency::Query]) {
            let (shared, embed) = (threads.shared.clone(), make());
            let name = format!("embed-{urgency:?}").to_lowercase();
            let started = thread::Builder::new().name(name).spawn(move || {
                if urgency == Urgency::Background {
                    give_way();
                }
                run(&shared, urgency, &embed);
            });
            started.map_err(|error| EmbedError::Model { why: error.to_string() })?;
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
        let mut queues = self.shared.queues();
        queues.stopped = true;
        queues.queries.clear();
        queues.background.clear();
        self.shared.query.notify_all();
        self.shared.background.notify_all();
    }
}

/// Lets everything else on the machine go first: a thread with this niceness gets a tenth of a core
/// that others want too, and all of one that nobody wants.
fn give_way() {
    const NICENESS: i32 = 10;
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), NICENESS) {
        tracing::warn!("embedding of turns does not give way to calls: {error}");
    }
}

/// Embeds what waits, until the stop.
fn run(shared: &Shared, urgency: Urgency, embed: &dyn Fn(&str) -> Result<Vec<f32>, EmbedError>) {
    while let Some(Waiting { text, answer }) = next(shared, urgency) {
        if answer.is_closed() {
            continue;
        }
        // A panic of the model is the failure of this text, not the end of the thread.
        let made = catch_unwind(AssertUnwindSafe(|| embed(&text)));
        let made = made
            .unwrap_or_else(|_| Err(EmbedError::Failed { why: "the model panicked".to_owned() }));
        // The caller may have gone away.
        let _ = answer.send(made);
    }
}

fn next(shared: &Shared, urgency: Urgency) -> Option<Waiting> {
    let mut queues = shared.queues();
    loop {
        if queues.stopped {
            return None;
        }
        let (queue, wake) = match urgency {
            Urgency::Query => (&mut queues.queries, &shared.query),
            Urgency::Background => (&mut queues.background, &shared.background),
        };
        if let Some(waiting) = queue.pop_front() {
            return Some(waiting);
        }
        queues = wake.wait(queues).expect("no holder panics");
    }
}
