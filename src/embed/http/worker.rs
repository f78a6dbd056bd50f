//! Sends what waits: a request at a time, tried again while that may help and somebody waits, and
//! cut in halves when the server does not take one of its texts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::breaker::Breaker;
use crate::embed::{
    EmbedError, Urgency,
    http::connection::{Connection, Refused},
    http::queue::{Batch, Queue, all_gone},
    http::wire::Answer,
};
use crate::telemetry::{EmbedOutcome, EmbedderMeter};

/// How often a request is made at the most: as often as may fail in a row before the server is left
/// alone.
const ATTEMPTS_MAX: u32 = 3;
/// How long to wait before the second attempt, up to; twice as long before each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest that is waited because the server asks for it: what is left then is tried again by
/// whoever works on the backlog.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long questions may take: a caller waits half a second for the vector of one.
const QUERY_MAX: Duration = Duration::from_millis(800);

/// What all workers share.
pub(super) struct Shared {
    pub connection: Connection,
    pub queue: Queue,
    pub meter: EmbedderMeter,
    /// The most texts of a request.
    pub batch_texts: usize,
    pub timeout: Duration,
    pub breaker: Mutex<Breaker>,
    /// Until when the server asked to be left alone.
    pub hold: Mutex<Option<Instant>>,
}

/// A request under way; one that is dropped without its end was given up.
struct Under<'a> {
    shared: &'a Shared,
    begun: Instant,
    limit: Duration,
    ended: bool,
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let took = self.begun.elapsed();
        self.shared.meter.ended(EmbedOutcome::GivenUp, took);
        // Who waited for a good part of what it may take has seen as much as its end.
        self.shared.breaker(|breaker| match took * 2 >= self.limit {
            true => breaker.failed(Instant::now()),
            false => breaker.given_up(),
        });
    }
}

impl Shared {
    fn breaker<T>(&self, ask: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = ask(&mut breaker);
        self.meter.breaker(breaker.state().number());
        answer
    }

    fn hold(&self) -> MutexGuard<'_, Option<Instant>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the server is to be left alone.
    fn held(&self) -> Duration {
        let mut hold = self.hold();
        let left = hold.map_or(Duration::ZERO, |until| until.duration_since(Instant::now()));
        if left.is_zero() {
            *hold = None;
        }
        left
    }

    /// Leaves the server alone for a while.
    fn leave_alone(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut hold = self.hold();
        *hold = Some(hold.map_or(until, |known| known.max(until)));
    }

    /// Makes a request once.
    async fn once(&self, urgency: Urgency, texts: &[String]) -> Result<Answer, Refused> {
        let limit = match urgency {
            Urgency::Query => self.timeout.min(QUERY_MAX),
            Urgency::Background => self.timeout,
        };
        let mut under = Under { shared: self, begun: Instant::now(), limit, ended: false };
        let asked = self.connection.ask(texts, limit).await;
        under.ended = true;
        let outcome = asked.as_ref().map_or_else(|refused| refused.outcome, |_| EmbedOutcome::Ok);
        self.meter.ended(outcome, under.begun.elapsed());
        self.breaker(|breaker| match outcome {
            EmbedOutcome::Failed | EmbedOutcome::Invalid => breaker.failed(Instant::now()),
            _ => breaker.succeeded(),
        });
        asked
    }

    /// Makes a request, again while that may help; `None`: nobody waits for it any more.
    async fn ask(&self, batch: &mut Batch) -> Option<Result<Answer, Refused>> {
        for attempt in 1..=ATTEMPTS_MAX {
            let held = self.held();
            if held > ASKED_WAIT_MAX || batch.urgency == Urgency::Query && held > QUERY_MAX {
                return Some(Err(later("it asks to be left alone for a while")));
            }
            rest(batch, held).await;
            if !batch.is_waited_for() {
                return None;
            }
            if !self.breaker(|breaker| breaker.admits(Instant::now())) {
                return Some(Err(later("it did not answer lately and is left alone for a while")));
            }
            let Batch { urgency, texts, answers } = &mut *batch;
            let asked = tokio::select! {
                biased;
                asked = self.once(*urgency, texts) => asked,
                () = all_gone(answers) => return None,
            };
            let pause = pause(attempt);
            match asked {
                Err(refused) if refused.outcome == EmbedOutcome::Limited => {
                    // Whoever asks now hears the same.
                    self.leave_alone(refused.wait.unwrap_or(pause).max(pause));
                    if attempt == ATTEMPTS_MAX {
                        return Some(Err(refused));
                    }
                }
                Err(refused) if refused.is_passing() && attempt < ATTEMPTS_MAX => {
                    let asked = refused.wait.unwrap_or(pause);
                    rest(batch, asked.clamp(pause, ASKED_WAIT_MAX)).await;
                }
                ended => return Some(ended),
            }
            self.meter.retried();
        }
        None
    }

    /// Sends some texts and gives all who wait their vectors, or why there are none.
    async fn serve(&self, batch: Batch) {
        let merged = batch.texts.len() > 1;
        let (mut parts, mut faulty, mut some) = (vec![batch], Vec::new(), false);
        while let Some(mut part) = parts.pop() {
            match self.ask(&mut part).await {
                None => {}
                Some(Ok(answer)) => {
                    some = true;
                    self.meter.embedded(part.texts.len(), answer.tokens);
                    part.answer(answer.vectors, answer.tokens);
                }
                Some(Err(refused)) if refused.by_text && part.texts.len() > 1 => {
                    let rest = part.split_off(part.texts.len() / 2);
                    parts.extend([rest, part]);
                }
                Some(Err(refused)) if refused.by_text => faulty.push((part, refused.why)),
                Some(Err(refused)) => part.fail(&EmbedError::Unavailable { why: refused.why }),
            }
        }
        for (part, why) in faulty {
            // What refuses every text refuses something else.
            part.fail(&match merged && !some {
                true => EmbedError::Unavailable { why },
                false => EmbedError::Failed { why },
            });
        }
    }
}

/// Sends what waits for as long as the embedder is there.
pub(super) async fn run(shared: Arc<Shared>, mut more: watch::Receiver<()>, only_queries: bool) {
    loop {
        more.mark_unchanged();
        while let Some(batch) = shared.queue.take(shared.batch_texts, only_queries) {
            shared.serve(batch).await;
        }
        if more.changed().await.is_err() {
            return;
        }
    }
}

/// Waits for a time, as long as anybody waits for the batch.
async fn rest(batch: &mut Batch, time: Duration) {
    if !time.is_zero() {
        // Whether somebody still waits is looked at before anything is sent.
        let _ = tokio::time::timeout(time, all_gone(&mut batch.answers)).await;
    }
}

/// How long to wait after an attempt: half of it is chance, so that not all come again at once.
fn pause(attempt: u32) -> Duration {
    let most = PAUSE_FIRST * 2_u32.pow(attempt - 1);
    most.mul_f64(0.5 + 0.5 * fastrand::f64())
}

fn later(why: &str) -> Refused {
    Refused::new(EmbedOutcome::Failed, why)
}
